package program

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloads reads the files of TLS again: each when it has changed, and all when
// SIGHUP says so. While what they hold can't be used, what was read before stays
// in force; that is logged once for each change.
//
// Files are written one after the other, and not at once: a certificate is there before
// its key, or half of a file before the rest. So a change that can't be used is tried
// again for a while before it is told.
type reloads struct {
	log    *slog.Logger
	settle time.Duration // how long a change is tried
	now    func() time.Time
	mu     sync.Mutex
	parts  []*reloadable
}

// reloadable is a setting that names files.
type reloadable struct {
	setting string
	files   *watched
	read    func(context.Context) error
	trying  time.Time // since when a change can't be used that was not told yet; zero: there is none
}

func (r *reloads) add(setting string, files *watched, read func(context.Context) error) {
	r.parts = append(r.parts, &reloadable{setting: setting, files: files, read: read})
}

// look reads what has changed.
func (r *reloads) look(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		changed := p.files.changed()
		if changed && p.trying.IsZero() {
			p.trying = r.now()
		}
		if changed || !p.trying.IsZero() {
			r.again(ctx, p, r.settle)
		}
	}
}

// all reads everything, and tells at once.
func (r *reloads) all(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		p.files.changed()
		r.again(ctx, p, 0)
	}
}

func (r *reloads) again(ctx context.Context, p *reloadable, settle time.Duration) {
	err := p.read(ctx)
	if err != nil && r.now().Sub(p.trying) < settle {
		return
	}
	p.trying = time.Time{}
	if err != nil {
		r.log.Error("files can't be used; what was read before stays in force", "setting", p.setting, "err", err)
		return
	}
	r.log.Info("files were read again", "setting", p.setting)
}

// watched is some files and what they were like. It asks the file system now and
// then: no event tells of a file behind a link, which is how containers mount
// secrets.
type watched struct {
	paths []string
	seen  []likeness
}

// likeness is what a look at a file tells without reading it.
type likeness struct {
	there    bool
	size     int64
	mode     fs.FileMode
	modified time.Time
}

// watch begins to watch files. It comes before they are read: a change between
// the two is seen then.
func watch(paths ...string) *watched {
	w := &watched{paths: paths, seen: make([]likeness, len(paths))}
	w.changed()
	return w
}

// changed reports whether a file is not what it was when this was asked last.
func (w *watched) changed() bool {
	changed := false
	for i, path := range w.paths {
		var now likeness
		if info, err := os.Stat(path); err == nil {
			now = likeness{true, info.Size(), info.Mode(), info.ModTime()}
		}
		if now != w.seen[i] {
			w.seen[i], changed = now, true
		}
	}
	return changed
}
