package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// plan holds the exec_id of each row, and how far sending got. It is written before
// the first task is sent. A program that was killed and started again sends each row
// under the exec_id that it had before; the gateway takes each id once, and mails
// each row once even if it was sent twice.
type plan struct {
	ExecIDs []string `json:"exec_ids"` // by row, from row 1

	sent *os.File // a line for each row that the queue has a task of
	done map[int]bool
}

func openPlan(dir string, rows int) (*plan, error) {
	p := &plan{done: map[int]bool{}}
	path := filepath.Join(dir, "plan.json")
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for range rows {
			p.ExecIDs = append(p.ExecIDs, uuid.NewString())
		}
		if err := p.save(path); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("plan: %w", err)
	default:
		if err := json.Unmarshal(data, p); err != nil {
			return nil, fmt.Errorf("plan: %s: %w", path, err)
		}
		if len(p.ExecIDs) != rows {
			return nil, fmt.Errorf("plan: %s is for %d rows, recipients.csv has %d: remove %s to start over",
				path, len(p.ExecIDs), rows, dir)
		}
	}
	return p, p.openSent(filepath.Join(dir, "sent.log"))
}

// save replaces the file in one step.
func (p *plan) save(path string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (p *plan) openSent(path string) error {
	var err error
	if p.sent, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	lines := bufio.NewScanner(p.sent)
	for lines.Scan() { // a line that a kill cut short has no ending of ours: its row is sent once more
		if text, whole := strings.CutSuffix(lines.Text(), " sent"); whole {
			row, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("plan: %s: %w", path, err)
			}
			p.done[row] = true
		}
	}
	_, err = p.sent.WriteString("\n") // ends a line that was cut by a kill
	return errors.Join(lines.Err(), err)
}

func (p *plan) markSent(rows []int) error {
	var lines []byte
	for _, row := range rows {
		lines = fmt.Appendf(lines, "%d sent\n", row)
	}
	_, err := p.sent.Write(lines)
	return err
}
