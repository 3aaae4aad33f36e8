package ca

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
)

const (
	serialBytes    = 16 // of a new serial number, all of them random
	maxSerialBits  = 20 * 8
	maxSerialBytes = maxSerialBits / 8 // RFC 5280 section 4.1.2.2
)

// newSerial draws a serial number that is positive (RFC 5280 section 4.1.2.2).
func newSerial(random io.Reader) (*big.Int, error) {
	b := make([]byte, serialBytes)
	for {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("ca: draw serial number: %w", err)
		}
		if n := new(big.Int).SetBytes(b); n.Sign() > 0 {
			return n, nil
		}
	}
}

// FormatSerial returns a serial number as lower-case hexadecimal digits, two for
// each byte and no leading zero byte: the one form in which it is stored and
// compared.
func FormatSerial(serial *big.Int) string { return hex.EncodeToString(serial.Bytes()) }

// ParseSerial reads what [FormatSerial] wrote, without the leading zero, too, as some
// tools print a number. Numbers that are not positive or
// longer than 20 bytes are errors.
func ParseSerial(s string) (*big.Int, error) {
	if len(s) > 2*maxSerialBytes {
		return nil, errors.New("ca: serial number is longer than 20 bytes")
	}
	if len(s)%2 == 1 {
		s = "0" + s
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, errors.New("ca: serial number is not hexadecimal")
	}
	n := new(big.Int).SetBytes(b)
	if !validSerial(n) {
		return nil, errors.New("ca: serial number is zero")
	}
	return n, nil
}

// validSerial reports whether a certificate may have serial.
func validSerial(serial *big.Int) bool {
	return serial != nil && serial.Sign() > 0 && serial.BitLen() <= maxSerialBits
}
