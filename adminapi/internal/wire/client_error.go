package wire

// ClientError says what is wrong with a request as HTTP (RFC 9110 section 15.5),
// before the registry is asked: its path, method, origin or body, or a field that is
// not what the route takes. Each dialect has its own way to show one.
type ClientError struct {
	Status  int          // 4xx
	Message string       // for people; it never repeats a value that was sent
	Fields  []FieldError // the fields at fault, in Message too; nil: the request as a whole
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Name    string // as the client knows it: grantTypes[0].method
	Message string // "must be a string"
}

// NewClientError returns an error about a request as a whole.
func NewClientError(status int, message string) *ClientError {
	return &ClientError{Status: status, Message: message}
}

// Error returns the message.
func (e *ClientError) Error() string { return e.Message }
