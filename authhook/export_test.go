package authhook

// Held returns how many entries the registry of sessions has, in all of its
// tables.
func (h *Hook) Held() int {
	r := h.sessions
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.slots) + len(r.users) + len(r.watched) + len(r.suspects) + r.live + r.stored + int(r.tasks.Load())
}
