package frame

// ReturnCode returns the return code of a CONNACK for MQTT 3.1 and 3.1.1 (section
// 3.2.2.3 of the latter) that stands for a reason code of MQTT 5 (section
// 3.2.2.2). It is the only such table.
func ReturnCode(reason byte) byte {
	const (
		accepted = iota
		unacceptableVersion
		identifierRejected
		serverUnavailable
		badCredentials
		notAuthorized
	)
	switch reason {
	case 0x00:
		return accepted
	case 0x84: // Unsupported Protocol Version
		return unacceptableVersion
	case 0x85: // Client Identifier not valid
		return identifierRejected
	case 0x88, 0x89, 0x97, 0x9F: // Server unavailable, Server busy, Quota exceeded, Connection rate exceeded
		return serverUnavailable
	case 0x86: // Bad User Name or Password
		return badCredentials
	default:
		return notAuthorized
	}
}
