//go:build unix

package logger

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHangupReopensFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := newLogger(t, Settings{}, io.Discard, WithFile(path))
	start(t, l)
	l.Slog().Info("one")
	flush(t, l)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	// The signal takes its time to be delivered.
	for deadline := time.Now().Add(20 * time.Second); ; {
		l.Slog().Info("two")
		flush(t, l)
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(`"two"`)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the file was not opened again")
		}
	}
	stop(t, l)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestReopenThatFailsKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "app.log")
	l := newLogger(t, Settings{Files: []string{path}}, io.Discard)
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Reopen says %v", err)
	}
	l.Slog().Info("kept")
	if b, _ := os.ReadFile(filepath.Join(dir+"-gone", "app.log")); !bytes.Contains(b, []byte("kept")) {
		t.Errorf("the old file holds %q", b)
	}
	_ = l.Close()
}

func TestFileIsReopened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	l := newLogger(t, Settings{Files: []string{path}}, io.Discard)
	start(t, l)
	l.Slog().Info("one")
	flush(t, l)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	// Stopping the actors may overtake the message; the file is new all the same.
	l.Slog().Info("two")
	stop(t, l)
	l.Slog().Info("three")
	rotated, _ := os.ReadFile(path + ".1")
	current, _ := os.ReadFile(path)
	if !bytes.Contains(rotated, []byte(`"one"`)) || !bytes.Contains(current, []byte(`"three"`)) {
		t.Errorf("rotated: %s\ncurrent: %s", rotated, current)
	}
	if n := bytes.Count(append(rotated, current...), []byte(`"two"`)); n != 1 {
		t.Errorf("the record around the rotation stands %d times", n)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
