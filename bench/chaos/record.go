package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// record is a line that a worker writes about a run. It is written by one
// write to a file opened for appending, so that it outlives the process.
type record struct {
	At       int64  `json:"at"` // ns since 1970; all processes have one clock
	Kind     string `json:"k"`  // begin, cut (the ctx was cancelled), end
	PID      int    `json:"p"`
	Run      int    `json:"r"` // number of the run in its process
	Message  string `json:"m"`
	Exec     string `json:"x"`
	Task     string `json:"t"`
	ID       int    `json:"i"` // of the task that was sent
	Attempt  int    `json:"a"`
	Failures int    `json:"f"` // spent before this run
	Max      int    `json:"max"`
	Outcome  string `json:"o,omitempty"` // of an end
}

type journal struct {
	file *os.File
	mu   sync.Mutex // one line at a time
}

func openJournal(dir string) (*journal, error) {
	path := filepath.Join(dir, fmt.Sprintf("worker-%d.jsonl", os.Getpid()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &journal{file: f}, err
}

func (j *journal) write(r record) {
	r.At, r.PID = time.Now().UnixNano(), os.Getpid()
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// readJournals reads what all workers wrote. A last line may be cut short.
func readJournals(dir string) ([]record, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "worker-*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []record
	var errs []error
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var r record
			if err := json.Unmarshal(lines.Bytes(), &r); err == nil {
				all = append(all, r)
			}
		}
		errs = append(errs, lines.Err(), f.Close())
	}
	return all, errors.Join(errs...)
}
