package settings

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Files lists the files that the options would read, in the order of precedence and whether they exist or not:
// those of File, OptionalFile and OptionalYAML, their profiles, .env files, and what PREFIX_NAME_FILE variables
// name, those of .env files too. It is what a watcher has to look at. Files of an fs.FS are not among them.
func Files(options ...Option) []string {
	c := newConfig(options)
	var out []string
	add := func(path string) {
		if path != "" && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	for _, s := range c.sources {
		if s.fsys == nil {
			add(s.file)
			add(s.twin)
		}
	}
	for _, s := range c.sources {
		for _, profile := range s.profiles(c) {
			for _, f := range c.sources {
				if f.file == "" || f.fsys != nil {
					continue
				}
				if path, ok := profilePath(f, profile); ok {
					add(path)
					add(otherYAML(path))
				} else {
					ext := filepath.Ext(f.file)
					add(strings.TrimSuffix(f.file, ext) + "." + profile + ext)
				}
			}
		}
	}
	var mounted []string // files that variables name
	for _, rank := range []source.Rank{source.DotEnv, source.Env} {
		for _, s := range c.sources {
			if s.rank != rank {
				continue
			}
			add(s.path)
			for _, n := range s.read(&opening{config: c}) {
				mounted = appendMounted(mounted, n)
			}
		}
	}
	for _, path := range mounted {
		add(path)
	}
	return out
}

// appendMounted adds the files that variables ending in _FILE name.
func appendMounted(out []string, n *source.Node) []string {
	for i := range n.Kids {
		if k := &n.Kids[i]; k.Kind == source.Map {
			out = appendMounted(out, k.Node)
		} else if k.Text != "" && strings.HasSuffix(k.Key, fileSuffix) {
			out = append(out, mountedPath(k.Node))
		}
	}
	return out
}
