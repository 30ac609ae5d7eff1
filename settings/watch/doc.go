// Package watch reloads settings when their files change: a new immutable value and a list of what changed, or an
// error while the old value stays.
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
// Directories are watched, not files, by fsnotify: so an editor that puts a new file over the old one is seen,
// and so is Kubernetes, which mounts a ConfigMap as links to ..data/name and swaps the link ..data to a new
// directory. The directory that a link leads to is watched as well. Because events can be lost (a full queue, a
// network file system, a directory made again), the files' times and sizes are looked at every 10 seconds too.
//
// # Files that are not whole
//
// Editors and tools save in steps: vim renames the file to a backup and writes a new one, a shell's > empties it
// first, scp writes it in pieces. So a file is judged before it is in force:
//
//	it has not changed for 1 s            it is read, all sources at once
//	it is missing or empty, and was not   the old values stay, until it gives some again
//	it lacks a key that it gave           the old values stay; if it has not changed for
//	                                      5 s, that was meant, and it is in force
//	it is shorter than it was, or its     it is in force once it has not changed for 5 s
//	last line has no end
//
// Keys are those of each file for itself, the elements of a list included. A file that a link puts in another's
// place is whole. The second and the third case are one update each, with a [*Lost] as its error. A copy that
// stands still for more than 5 s looks like a file that is done.
//
// # Stores
//
// A [settings.Store] is followed as well: a new version of what it has is in force at once. One that cannot be read
// leaves the values as they are, and is an update with an [*Away] as its error. What an address no longer has is an
// update with a [*Lost], and stays in force.
//
// # Ownership
//
// One goroutine owns the watcher, does every load and calls notify, so neither overlaps itself; it ends when the
// ctx ends, and Wait waits for that. A slow notify delays the next reload and loses nothing. Current may be
// called from any number of goroutines; what it points to is never written again, and is not to be written by
// others.
//
// # Debugging and tests
//
// Stats has the loads, the failures and the last error. Reload loads at once and gives what came of it, so a test
// need not wait for an event. A watcher waits for the file system, so it does not work in a testing/synctest
// bubble, unless its sources are stores alone.
package watch
