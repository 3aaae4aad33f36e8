package program

import (
	"log/slog"
	"syscall"
)

// ownDescriptors are the file descriptors that are kept for the program itself: the
// store, Redis, files that are read again, connections that are about to be closed.
const ownDescriptors = 64

// descriptorLimit raises the number of files that the process may have open to what
// the system allows, and returns it; 0 if nobody can tell.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	if l.Cur < l.Max {
		raised := syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			l = raised
		}
	}
	return l.Cur
}

// divide lowers the numbers of connections to what there are descriptors for, so
// that none of those who share them can take all: HTTP gets a quarter at most.
func (l *limits) divide(descriptors uint64, log *slog.Logger) {
	if descriptors == 0 {
		return
	}
	wanted := *l
	all := int(min(descriptors, 1<<31)) // #nosec G115 -- bounded
	if free := all - ownDescriptors; l.connections+l.httpConnections > free {
		l.httpConnections = max(1, min(l.httpConnections, free/4))
		l.connections = max(1, min(l.connections, free-l.httpConnections))
	}
	log.Info("file descriptors", "limit", all, "mqtt_connections", l.connections, "http_connections", l.httpConnections)
	if l.connections < wanted.connections || l.httpConnections < wanted.httpConnections {
		log.Warn("there are fewer file descriptors than the limits ask for, which are lowered: raise the limit of open files (ulimit -n, LimitNOFILE=)",
			"limits_connections", wanted.connections, "limits_http_connections", wanted.httpConnections, "needed", wanted.connections+wanted.httpConnections+ownDescriptors)
	}
}
