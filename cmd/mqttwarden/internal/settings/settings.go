// Package settings reads what an operator sets: on the command line, in the
// environment and in a YAML file.
//
// A setting is declared once, as a Setting in a Section. Everything else follows
// from that declaration:
//
//	limits-packet                 its name, of section and setting
//	--limits-packet=4096          on the command line
//	MQTTWARDEN_LIMITS_PACKET      in the environment
//	limits: {packet: 4096}        in the file, or limits-packet: 4096
//	--help, and a row of deploy/docs/operations.md
//
// The command line beats the environment, which beats the file, which beats the
// default. What is wrong with settings is told all at once.
package settings

import (
	"errors"
	"fmt"
)

// Setting is one setting: what it is called, where its value goes, and what an
// operator should know of it.
type Setting struct {
	Name    string // within its section, as in "packet"
	Value   Value
	Default string // as an operator would write it; empty for none
	Unset   string // what holds without a value, for a setting without a default
	Unit    string // of a number, as in "bytes"
	Help    string // in whole sentences

	Placeholder string   // for the value in --help, as in "FILE"
	Required    bool     // on the command line, in the environment or in the file
	Cells       []string // of the manual's further columns, see Section
}

// Section is a group of settings.
type Section struct {
	Name     string // in front of the settings' names, and of them in the file; may be empty
	Title    string // above them in the manual and in --help
	Text     string // below the title in the manual
	Columns  []string
	Settings []Setting

	// Check is called when every value is in its place, refused ones aside, which
	// have their default there. It tells what is wrong with several settings
	// together, and completes what follows from them. It may be nil.
	Check func(*Problems)
}

// Full is the whole name of a setting of the section.
func (s Section) Full(name string) string {
	if s.Name == "" {
		return name
	}
	return s.Name + "-" + name
}

// Value is the place of a setting's value, and what it accepts.
type Value interface {
	// Set takes the text of a setting to its place. What is not accepted goes to
	// refuse, as far as it may be shown, with what is accepted instead.
	Set(text string, refuse Refuse)
	// Accepts says what is accepted, as in "a number from 1 to 10". It is empty
	// when everything is.
	Accepts() string
}

// Refuse is told a text that is not accepted, and what must stand there.
type Refuse func(text, want string)

// Problems is what is wrong with settings.
type Problems struct{ all []error }

// Refuse notes that a value is not accepted. key may name several settings.
func (p *Problems) Refuse(key, text, want string) {
	p.Add(key, fmt.Sprintf("%q: must be %s", text, want))
}

// Add notes what is wrong with a setting, or with several.
func (p *Problems) Add(key, what string) {
	p.all = append(p.all, errors.New("  "+key+": "+what))
}
