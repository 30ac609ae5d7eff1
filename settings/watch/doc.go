// Package watch reloads settings when their files change: a new immutable
// value and a list of what changed, or an error while the old value stays.
//
//	w, err := watch.Start(ctx, Mail{Workers: 4}, func(u watch.Update[Mail]) {
//		if u.Err != nil {
//			slog.Error("settings not reloaded", "err", u.Err) // the old value stays
//			return
//		}
//		pool.SetWorkers(u.New.Workers)
//		for _, c := range u.NeedsRestart() {
//			slog.Warn("setting needs a restart", "setting", c.Path)
//		}
//	}, settings.File("/etc/mailer/mailer.yaml"), settings.Env("MAIL"))
//	...
//	limit := w.Current().Limit // one atomic load
//
// # How
//
// Directories are watched, not files, by fsnotify: so an editor that puts a
// new file over the old one is seen, and so is Kubernetes, which mounts a
// ConfigMap as links to ..data/name and swaps the link ..data to a new
// directory. The directory that a link leads to is watched as well. A burst of
// events is waited out (50 ms), then all sources are read once. Because events
// can be lost (a full queue, a network file system, a directory made anew),
// the files' times and sizes are looked at every 10 seconds too.
//
// # Ownership
//
// One goroutine owns the watcher, does every load and calls notify, so neither
// overlaps itself; it ends when the ctx ends, and Wait waits for that. A slow
// notify delays the next reload and loses nothing. Current may be called from
// any number of goroutines; what it points to is never written again, and is
// not to be written by others.
//
// # Debugging and tests
//
// Stats tells loads, failures and the last error. Reload loads at once and
// gives what came of it, so that a test need not wait for an event.
package watch
