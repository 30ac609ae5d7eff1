package logger

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// fileWriter appends to a file that may be renamed under it.
type fileWriter struct {
	path string
	f    *os.File
}

func openFile(path string) (*fileWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	return &fileWriter{path: path, f: f}, nil
}

// Write implements [io.Writer].
func (w *fileWriter) Write(b []byte) (int, error) { return w.f.Write(b) }

// Reopen opens the path again. If it cannot be opened the old file is kept.
func (w *fileWriter) Reopen() error {
	f, err := openFile(w.path)
	if err != nil {
		return err
	}
	_ = w.f.Close() // each write was checked, and the new file is in use whatever this says
	w.f = f.f
	return nil
}

// Close ends it.
func (w *fileWriter) Close() error { return w.f.Close() }

// descriptor writes to a file's descriptor without os.File's own handling of a
// closed pipe, which ends the process by SIGPIPE if the file is stdout or
// stderr: a service outlives the reader of its logs.
type descriptor struct {
	f   *os.File
	raw syscall.RawConn
}

func direct(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	raw, err := f.SyscallConn()
	if err != nil || !rawWrites {
		return w
	}
	return &descriptor{f: f, raw: raw}
}

// Write implements [io.Writer].
func (d *descriptor) Write(b []byte) (int, error) {
	done := 0
	var werr error
	err := d.raw.Write(func(fd uintptr) bool {
		for done < len(b) {
			n, err := rawWrite(fd, b[done:])
			if n > 0 {
				done += n
			}
			switch {
			case err == syscall.EINTR:
			case err == syscall.EAGAIN:
				return false // wait until it can be written to
			case err != nil:
				werr = os.NewSyscallError("write", err)
				return true
			case n == 0:
				werr = io.ErrShortWrite
				return true
			}
		}
		return true
	})
	if werr == nil {
		werr = err
	}
	return done, werr
}

// isTerminal does not use Fd, which puts the file into blocking mode.
func isTerminal(w io.Writer) (is bool) {
	if d, ok := w.(*descriptor); ok {
		_ = d.raw.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	}
	return is
}

// watchSignals reopens files on SIGHUP. The function that it returns ends
// the watch.
func (l *Logger) watchSignals() func() {
	files := false
	for _, o := range l.outputs {
		if _, ok := o.w.(reopener); ok {
			files = true
		}
	}
	if !files {
		return func() {}
	}
	hup := make(chan os.Signal, 1)
	end, ended := make(chan struct{}), make(chan struct{})
	signal.Notify(hup, syscall.SIGHUP)
	pid, to := l.pid, l.to
	go func() {
		defer close(ended)
		for {
			select {
			case <-hup:
				l.outdate()
				to.Send(pid, &Reopen{})
			case <-end:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hup)
		close(end)
		<-ended
	}
}
