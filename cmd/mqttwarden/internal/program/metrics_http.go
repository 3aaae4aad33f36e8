package program

import "mqttwarden/adminapi"

// bodiesPart are the metrics of the memory that the bodies of requests share.
func bodiesPart(snapshot func() adminapi.BodyStats) part[adminapi.BodyStats] {
	return part[adminapi.BodyStats]{snapshot, []series[adminapi.BodyStats]{
		gauge("mqttwarden_http_bodies_bytes", "Memory of the bodies of HTTP requests under way, as far as it is not free.", func(s adminapi.BodyStats) float64 { return float64(s.Taken) }),
		counter("mqttwarden_http_bodies_refused_total", "HTTP requests refused because the bodies under way took too much memory.", func(s adminapi.BodyStats) float64 { return float64(s.Refused) }),
	}}
}
