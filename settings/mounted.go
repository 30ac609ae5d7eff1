package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

const fileSuffix = "_file"

// fileField is the field that PREFIX_NAME_FILE is about, or -1.
func (d *decoder) fileField(c *codec, k *source.Kid, n *source.Node) int {
	base, ok := strings.CutSuffix(k.Key, fileSuffix)
	if !ok || k.Kind != source.Text || k.From.Rank != source.Env && k.From.Rank != source.DotEnv {
		return -1
	}
	if i, known := c.byKey[base]; known {
		return i
	}
	return -1
}

// fromFile reads the value of a secret that is mounted as a file.
func (d *decoder) fromFile(f *field, k *source.Kid, n *source.Node) *source.Node {
	pos := positionOf(k.Node)
	if other := n.Get(f.key); other != nil {
		if other.From.Rank > source.MountedFile {
			return nil // a flag goes before
		}
		if other.From.Rank == k.From.Rank && other.Kind != source.Map {
			d.fail(&Error{Kind: KindDuplicate, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)),
				Problem: "is given by " + other.More().Name + " already: set the one or the other"})
			return nil
		}
	}
	path := mountedPath(k.Node)
	data, err := source.ReadFile(nil, path)
	if err != nil {
		e := &Error{Kind: KindSource, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)),
			Problem: "the file " + source.QuoteKey(source.Clip(path)) + " cannot be read: " + cause(err), Err: err}
		if f.secret && !likelyPath(path) {
			// The path is shown only where it is one: the secret itself may stand here.
			e.Problem, e.Err = "the file that it names cannot be read: "+cause(err), nil
		}
		d.fail(e)
		return &source.Node{Bad: true, From: k.From}
	}
	text := strings.TrimRight(strings.TrimPrefix(string(data), source.ByteOrderMark), "\r\n")
	out := &source.Node{Kind: source.Text, Literal: true, Text: text,
		From: &source.Origin{File: path, Rank: source.MountedFile}, Rare: &source.Rare{Name: k.More().Name},
		Over: n.Get(f.key)}
	if d.secrets != nil && f.secret {
		d.secrets[out] = true
	}
	if len(d.path) == 0 {
		d.tree.claim([]string{k.Key})
	}
	return out
}

// mountedPath is the path that a variable names; in a .env file it is from that file's directory.
func mountedPath(n *source.Node) string {
	if n.From.File == "" || filepath.IsAbs(n.Text) {
		return n.Text
	}
	return filepath.Join(filepath.Dir(n.From.File), n.Text)
}

// likelyPath reports whether a file could be there: its directory is.
func likelyPath(path string) bool {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	return filepath.IsAbs(path) && dir != string(filepath.Separator) && err == nil && info.IsDir()
}
