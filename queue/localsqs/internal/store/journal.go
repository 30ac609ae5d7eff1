package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// A journal is two files next to the queue file, written in turns: groups of
// changes, each with one write and one fsync, that are not in the queue file
// yet. While one is filled the other's groups are applied to the queue file.
//
// A group begins on a page of its own, so that a write that is cut short harms
// no group before it. Its header: magic, length, CRC-32C of all that follows,
// the queue file's salt, and its number, which rises by one from group to group.
// A file is written over from its beginning when it is used again; what is left
// of before has lower numbers.
type journal struct {
	segments [2]segment
	active   int
	salt     uint64
	number   uint64 // of the latest group
	noFsync  bool
	buf      []byte
}

type segment struct {
	file *os.File
	size int64 // bytes that are allocated
	end  int64 // of the latest group
}

const (
	groupMagic  = "lsqG"
	headerSize  = 4 + 4 + 4 + 8 + 8
	groupAlign  = 4096
	smallestPad = 256 << 10 // bytes by which a file grows
	largestPad  = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func journalPaths(path string) [2]string {
	return [2]string{path + ".journal-0", path + ".journal-1"}
}

// openJournal empties the files: all their groups up to number are in the queue
// file already. What an earlier server left in them must go: next to a queue file
// that was restored from a copy it may have the numbers of groups to come, and
// would be taken for these after a kill.
func openJournal(path string, salt, number uint64, noFsync bool) (*journal, error) {
	j := &journal{salt: salt, number: number, noFsync: noFsync}
	for i, p := range journalPaths(path) {
		file, err := createAnew(p)
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		j.segments[i].file = file
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// createAnew makes a file for its owner alone, in the place of what is at path.
// It follows no link that was planted there, and path always names a file.
func createAnew(path string) (*os.File, error) {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, path); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(fresh))
	}
	return file, nil
}

func (j *journal) close() (err error) {
	for i := range j.segments {
		if f := j.segments[i].file; f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// own reports which of the files are still those at their paths: if they were
// removed, a later server's may stand there.
func (j *journal) own(path string) (own [2]bool) {
	for i, p := range journalPaths(path) {
		ours, err := j.segments[i].file.Stat()
		if err != nil {
			continue
		}
		there, err := os.Stat(p)
		own[i] = err == nil && os.SameFile(ours, there)
	}
	return own
}

// append writes changes as the next group. After an error the same number and
// place are used again.
func (j *journal) append(changes []engine.Change) (err error) {
	b := append(j.buf[:0], make([]byte, headerSize)...)
	for i := range changes {
		if b, err = appendChange(b, &changes[i]); err != nil {
			return err
		}
	}
	if int64(len(b)) > 1<<31 {
		return fmt.Errorf("a group of %d bytes is more than the journal takes", len(b))
	}
	copy(b, groupMagic)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)))
	binary.BigEndian.PutUint64(b[12:], j.salt)
	binary.BigEndian.PutUint64(b[20:], j.number+1)
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	if n := len(b) % groupAlign; n > 0 {
		b = append(b, make([]byte, groupAlign-n)...)
	}
	if j.buf = b; cap(b) > largestPad {
		j.buf = nil
	}
	s := &j.segments[j.active]
	if err := s.reserve(s.end + int64(len(b))); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return err
	}
	if !j.noFsync {
		if err := datasync(s.file); err != nil {
			return err
		}
	}
	s.end += int64(len(b))
	j.number++
	return nil
}

// reserve writes zeros ahead, for the fsync of a write into blocks that are
// there costs about half of one that adds some.
func (s *segment) reserve(end int64) error {
	for s.size < end {
		step := min(max(s.size, smallestPad), largestPad)
		if _, err := s.file.WriteAt(make([]byte, step), s.size); err != nil {
			return err
		}
		s.size += step
	}
	return nil
}

// length is how much the groups of the active file take.
func (j *journal) length() int64 { return j.segments[j.active].end }

// turn switches to the other file. All groups of that file must be applied.
func (j *journal) turn() {
	j.active = 1 - j.active
	j.segments[j.active].end = 0
}

// group is a part of a journal that was read.
type group struct {
	number  uint64
	changes []byte
}

// readJournal reads the groups that are not in the queue file yet.
func readJournal(path string, salt, applied uint64) (changes []engine.Change, number uint64, err error) {
	var runs [2][]group
	for i, p := range journalPaths(path) {
		b, err := os.ReadFile(p)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		if runs[i], err = readGroups(b, salt, applied); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p, err)
		}
	}
	if len(runs[0]) > 0 && len(runs[1]) > 0 && runs[0][0].number > runs[1][0].number {
		runs[0], runs[1] = runs[1], runs[0]
	}
	number = applied
	for _, run := range runs {
		for _, g := range run {
			if g.number <= applied {
				continue
			}
			if g.number != number+1 {
				return nil, 0, fmt.Errorf("%w: its journal lacks group %d", ErrCorrupt, number+1)
			}
			r := reader{s: string(g.changes)}
			for r.s != "" {
				c, err := r.change()
				if err != nil {
					return nil, 0, fmt.Errorf("%w: group %d of its journal: %w", ErrCorrupt, g.number, err)
				}
				changes = append(changes, c)
			}
			number = g.number
		}
	}
	return changes, number, nil
}

// readGroups reads the groups from the beginning of a file up to the first
// that is not whole. That one was never acknowledged, unless a whole one comes
// after it: then the file is damaged.
func readGroups(b []byte, salt, applied uint64) (run []group, err error) {
	at, last := 0, uint64(0)
	for at < len(b) {
		g, n := readGroup(b[at:], salt)
		if n == 0 || last > 0 && g.number != last+1 {
			break
		}
		run, last = append(run, g), g.number
		at += (n + groupAlign - 1) / groupAlign * groupAlign
	}
	last = max(last, applied)
	for ; at < len(b); at += groupAlign {
		if g, n := readGroup(b[at:], salt); n > 0 && g.number > last {
			return nil, fmt.Errorf("%w: group %d of its journal is whole and one before it is not",
				ErrCorrupt, g.number)
		}
	}
	return run, nil
}

func readGroup(b []byte, salt uint64) (g group, n int) {
	if len(b) < headerSize || !bytes.HasPrefix(b, []byte(groupMagic)) || binary.BigEndian.Uint64(b[12:]) != salt {
		return g, 0
	}
	n = int(binary.BigEndian.Uint32(b[4:]))
	if n < headerSize || n > len(b) || binary.BigEndian.Uint32(b[8:]) != crc32.Checksum(b[12:n], castagnoli) {
		return g, 0
	}
	return group{binary.BigEndian.Uint64(b[20:]), b[headerSize:n]}, n
}
