package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const fileSuffix = "_file"

// fileField is the field that PREFIX_NAME_FILE is about, or -1.
func (d *decoder) fileField(c *codec, k *kid, n *node) int {
	base, ok := strings.CutSuffix(k.key, fileSuffix)
	if !ok || k.kind != textNode || k.from.rank != rankEnv && k.from.rank != rankDotEnv {
		return -1
	}
	if i, known := c.byKey[base]; known {
		return i
	}
	return -1
}

// fromFile reads the value of a secret that is mounted as a file.
func (d *decoder) fromFile(f *field, k *kid, n *node) *node {
	pos := k.pos()
	if other := n.get(f.key); other != nil {
		if other.from.rank > rankEnvFile {
			return nil // a flag goes before
		}
		if other.from.rank == k.from.rank && other.kind != mapNode {
			_ = d.fail(&Error{Kind: KindDuplicate, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)), Problem: "is given by " + other.more().name + " already: set the one or the other"})
			return nil
		}
	}
	path := mountedPath(k.node)
	data, err := slurp(nil, path)
	if err != nil {
		e := &Error{Kind: KindSource, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)), Problem: "the file " + quoteKey(clip(path)) + " cannot be read: " + cause(err), Err: err}
		if f.secret && !likelyPath(path) {
			// The path is shown only where it is one: the secret itself may stand here.
			e.Problem, e.Err = "the file that it names cannot be read: "+cause(err), nil
		}
		_ = d.fail(e)
		return &node{bad: true, from: k.from}
	}
	text := strings.TrimRight(strings.TrimPrefix(string(data), byteOrderMark), "\r\n")
	out := &node{kind: textNode, literal: true, text: text, from: &origin{file: path, rank: rankEnvFile}, rare: &rare{name: k.more().name}, over: n.get(f.key)}
	if d.secrets != nil && f.secret {
		d.secrets[out] = true
	}
	if len(d.path) == 0 {
		d.tree.claim([]string{k.key})
	}
	return out
}

// mountedPath is the path that a variable names; in a .env file it is from that
// file's directory.
func mountedPath(n *node) string {
	if n.from.file == "" || filepath.IsAbs(n.text) {
		return n.text
	}
	return filepath.Join(filepath.Dir(n.from.file), n.text)
}

// likelyPath tells whether a file could be there: its directory is.
func likelyPath(path string) bool {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	return filepath.IsAbs(path) && dir != string(filepath.Separator) && err == nil && info.IsDir()
}
