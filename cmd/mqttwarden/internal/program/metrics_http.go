package program

import "mqttwarden/adminapi"

// latePart is the metric of changes that were answered before they were in force.
func latePart(snapshot func() uint64) part[uint64] {
	return part[uint64]{snapshot, []series[uint64]{
		counter("mqttwarden_http_answers_late_total", "Changes answered before they were in force, because that took longer than --http-wait or what the request preferred.", func(n uint64) float64 { return float64(n) }),
	}}
}

// bodiesPart are the metrics of the memory that the bodies of requests share.
func bodiesPart(snapshot func() adminapi.BodyStats) part[adminapi.BodyStats] {
	return part[adminapi.BodyStats]{snapshot, []series[adminapi.BodyStats]{
		gauge("mqttwarden_http_bodies_bytes", "Memory of the bodies of HTTP requests under way, as far as it is not free.", func(s adminapi.BodyStats) float64 { return float64(s.Taken) }),
		counter("mqttwarden_http_bodies_refused_total", "HTTP requests refused because the bodies under way took too much memory.", func(s adminapi.BodyStats) float64 { return float64(s.Refused) }),
	}}
}
