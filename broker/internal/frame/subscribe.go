package frame

// Bits of the subscription options (section 3.8.3.1).
const (
	optionQoS            byte = 3 << 0
	optionNoLocal        byte = 1 << 2
	optionRetainHandling byte = 3 << 4
	optionReserved       byte = 3 << 6
)

// subscribe checks a SUBSCRIBE (section 3.8).
func (c *Checker) subscribe(r *reader) {
	r.packetID(clause{"MQTT-2.2.1-3", "MQTT-2.3.1-1"})
	if r.version == Level5 {
		r.properties(inSubscribe)
	}
	if r.bad == nil && len(r.b) == 0 {
		r.fail(codeProtocolError, clause{"MQTT-3.8.3-2", "MQTT-3.8.3-3"}, "the SUBSCRIBE has no topic filter")
	}
	for n := 1; len(r.b) > 0; n++ {
		c.countFilter(r, n)
		filter := r.filter() // MQTT-3.8.3-1: UTF-8
		if options := r.byte("the subscription options"); r.version == Level5 {
			r.options(options, isShared(filter))
		} else if options > 2 {
			r.fail(codeMalformed, clause{v3: "MQTT-3.8.3-4"}, "the requested QoS is none of 0, 1 and 2")
		}
	}
}

// options checks the subscription options of MQTT 5.
func (r *reader) options(o byte, shared bool) {
	switch {
	case o&optionReserved != 0:
		r.fail(codeMalformed, clause{v5: "MQTT-3.8.3-5"}, "a reserved subscription option is set")
	case o&optionQoS == optionQoS:
		r.fail(codeProtocolError, clause{v5: "section 3.8.3.1"}, "the maximum QoS is 3")
	case o&optionRetainHandling == optionRetainHandling:
		r.fail(codeProtocolError, clause{v5: "section 3.8.3.1"}, "the Retain Handling is 3")
	case o&optionNoLocal != 0 && shared:
		r.fail(codeProtocolError, clause{v5: "MQTT-3.8.3-4"}, "No Local is set on a shared subscription")
	}
}

// unsubscribe checks an UNSUBSCRIBE (section 3.10).
func (c *Checker) unsubscribe(r *reader) {
	r.packetID(clause{"MQTT-2.2.1-3", "MQTT-2.3.1-1"})
	if r.version == Level5 {
		r.properties(inUnsubscribe)
	}
	if r.bad == nil && len(r.b) == 0 {
		r.fail(codeProtocolError, clause{"MQTT-3.10.3-2", "MQTT-3.10.3-2"}, "the UNSUBSCRIBE has no topic filter")
	}
	for n := 1; len(r.b) > 0; n++ {
		c.countFilter(r, n)
		r.filter() // MQTT-3.10.3-1: UTF-8
	}
}

// countFilter refuses the filter that is one too many.
func (c *Checker) countFilter(r *reader, n int) {
	if n > c.config.MaxFilters {
		r.fail(codeQuotaExceeded, clause{"section 4.13.2", "MQTT-4.8.0-1"}, "the packet has more topic filters than this server takes")
	}
}
