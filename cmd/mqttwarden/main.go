// Command mqttwarden is an MQTT broker that knows who may do what, with the
// register where that is decided and the API where it is changed.
package main

import "mqttwarden/cmd/mqttwarden/internal/program"

func main() { program.Main() }
