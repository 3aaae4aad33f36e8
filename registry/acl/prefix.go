package acl

// prefix is a publish prefix.
type prefix struct {
	text string
	bad  bool // not valid: nothing may be published
}

// ValidPrefix reports, as a *SyntaxError, why s may not be put in front of what
// a user publishes. No slash is added to it.
func ValidPrefix(s string) error {
	if s == "" {
		return nil
	}
	if s[0] == '$' {
		return syntaxError("publish prefix", s, `must not begin with "$"`)
	}
	return valid("publish prefix", s, topicForm)
}
