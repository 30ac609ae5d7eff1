package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// Source is one place that settings come from. In order of precedence, the weakest first, whatever the order they
// are given in:
//
//	the defaults                        the struct, or a layout's items
//	File, OptionalFile, OptionalYAML,   later over earlier
//	FileFS, Bytes, From
//	Profiles, ProfilesFromEnv           later profile over earlier
//	DotEnv
//	Env, Environ
//	PREFIX_NAME_FILE                    of Env, Environ and DotEnv
//	Flags, Set
//
// Maps are merged key by key and lists are replaced; see [MergeMaps], [MergeLists] and the merge tag. A null
// clears a list, a map or a pointer, and gives a struct's section nothing: what weaker sources gave it stays.
type Source struct {
	rank    source.Rank
	read    func(*opening) []*source.Node
	file    string // of a file source, where profiles are looked for
	twin    string // the file by its other name; one of the two may be there
	fsys    fs.FS
	path    string                 // of a .env file
	names   func(*config) []string // of profiles
	label   string                 // of a file, to name the file of a missing setting
	prefix  string                 // of variables, to name the variable of a missing setting
	reserve []string               // variables that Env leaves alone
	environ []string               // what Environ reads instead of the process' environment
}

// parses reports whether reading the source is parsing files.
func (s Source) parses() bool { return s.rank == source.File || s.rank == source.Profile }

func (s Source) apply(c *config) {
	c.sources = append(c.sources, s)
	c.reserved = append(c.reserved, s.reserve...)
	if s.environ != nil {
		c.environ = s.environ
	}
}

// opening is one Open under way: it collects what went wrong.
type opening struct {
	config *config
	rank   source.Rank
	errs   []*Error
	dotted bool // some string begins with a dot, so aliases must be looked for

	secretive bool // a store gave a secret
}

func (o *opening) fail(e *Error) { o.errs = report(o.errs, e) }

// take adds what a text has given in addition to its tree.
func (o *opening) take(r *source.Reading) {
	o.dotted = o.dotted || r.Dotted
	for _, m := range r.Mistakes {
		o.fail(&Error{Kind: kindOf[m.Kind], Problem: m.Problem,
			Pos: Position{File: r.From.File, Version: r.From.Version, Line: m.Line, Column: m.Column}})
	}
}

var kindOf = map[source.MistakeKind]Kind{source.Syntax: KindSyntax, source.Unreadable: KindSource,
	source.Duplicate: KindDuplicate, source.WrongType: KindType, source.Cycle: KindAlias}

// maxReported is how many mistakes one load reports of its sources, and how many of what they hold. A file with
// more is not a settings file.
const maxReported = source.MaxMistakes

// report adds a mistake to errs, up to the most that are reported.
func report(errs []*Error, e *Error) []*Error {
	if len(errs) == maxReported {
		e = &Error{Kind: e.Kind, Pos: e.Pos,
			Problem: "there are more than " + strconv.Itoa(maxReported) + " mistakes: the rest is not reported"}
	}
	if len(errs) > maxReported {
		return errs
	}
	e.Problem, e.Suggestion = Redacted(e.Problem), Redacted(e.Suggestion)
	return append(errs, e)
}

// Format is the notation of a file.
type Format uint8

const (
	YAML Format = iota + 1
	TOML
	JSON
	ENV // of Example only; a .env file is read by DotEnv
)

// String is the format's usual file extension.
func (f Format) String() string {
	if f < YAML || f > ENV {
		return fmt.Sprintf("format %d", f)
	}
	return [...]string{YAML: "yaml", TOML: "toml", JSON: "json", ENV: "env"}[f]
}

// FormatOf returns a file's format by its extension: .yaml, .yml, .toml, .json, .env.
func FormatOf(path string) (Format, error) {
	base := filepath.Base(path)
	format, ok := map[string]Format{".yaml": YAML, ".yml": YAML, ".toml": TOML, ".json": JSON,
		".env": ENV}[strings.ToLower(filepath.Ext(base))]
	switch {
	case ok:
		return format, nil
	case strings.HasPrefix(base, ".env"):
		return ENV, nil
	}
	return 0, errors.New("the extension is that of no format: use .yaml, .yml, .toml or .json")
}

// File reads a yaml, toml or json file; the extension says which. A missing file is an error.
func File(path string) Source { return fileSource(nil, path, false) }

// OptionalFile is File for a file that may be missing.
func OptionalFile(path string) Source { return fileSource(nil, path, true) }

// OptionalYAML reads the file stem.yaml, or stem.yml. Neither has to be there; that both are is an error, and so
// it is of their profiles.
func OptionalYAML(stem string) Source {
	s := OptionalFile(stem + ".yaml")
	s.twin = stem + ".yml"
	first, second := s.read, OptionalFile(s.twin).read
	s.read = func(o *opening) []*source.Node {
		if !exists(nil, s.twin) {
			return first(o)
		}
		if exists(nil, s.file) {
			o.fail(both(s.file, s.twin))
			return nil
		}
		return second(o)
	}
	return s
}

// exists reports whether fsys, or the system if that is nil, has a file.
func exists(fsys fs.FS, path string) bool {
	var err error
	if fsys != nil {
		_, err = fs.Stat(fsys, path)
	} else {
		_, err = os.Stat(path)
	}
	return err == nil
}

func both(path, twin string) *Error {
	return &Error{Kind: KindSource, Pos: Position{File: twin},
		Problem: "both " + path + " and " + twin + " are there: leave one of them"}
}

// otherYAML is the path with .yml for .yaml and the reverse, or "".
func otherYAML(path string) string {
	ext := filepath.Ext(path)
	other := map[string]string{".yaml": ".yml", ".yml": ".yaml"}[ext]
	if other == "" {
		return ""
	}
	return strings.TrimSuffix(path, ext) + other
}

// FileFS is File for a file of fsys, like an embedded one.
func FileFS(fsys fs.FS, path string) Source { return fileSource(fsys, path, false) }

// Bytes is a file's content that is at hand; name stands for it in messages.
func Bytes(name string, format Format, data []byte) Source {
	return Source{rank: source.File, label: name, read: func(o *opening) []*source.Node {
		return one(parseFile(o, name, format, data))
	}}
}

func fileSource(fsys fs.FS, path string, optional bool) Source {
	return Source{rank: source.File, file: path, label: path, fsys: fsys, read: func(o *opening) []*source.Node {
		return one(readFile(o, fsys, path, optional))
	}}
}

func one(n *source.Node) []*source.Node {
	if n == nil {
		return nil
	}
	return []*source.Node{n}
}

func readFile(o *opening, fsys fs.FS, path string, optional bool) *source.Node {
	data, err := source.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) && optional {
		return nil
	}
	format, formatErr := FormatOf(path)
	if err == nil && (formatErr != nil || format == ENV) {
		if formatErr == nil {
			formatErr = errors.New("it is read by DotEnv, not as a file of sections")
		}
		o.fail(&Error{Kind: KindSource, Pos: Position{File: path}, Problem: formatErr.Error(), Err: formatErr})
		return nil
	}
	if err != nil {
		e := unreadable(path, err)
		if errors.Is(err, fs.ErrNotExist) {
			if near := spelling.Nearest(filepath.Base(path), siblings(fsys, path)); near != "" {
				e.Suggestion = filepath.Join(filepath.Dir(path), near)
			}
		}
		o.fail(e)
		return nil
	}
	return parseFile(o, path, format, data)
}

func unreadable(path string, err error) *Error {
	return &Error{Kind: KindSource, Pos: Position{File: path}, Problem: "cannot be read: " + cause(err), Err: err}
}

// cause is what the system said, without the path that the message has already.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// siblings lists the files in the directory of a path, to suggest one of them.
func siblings(fsys fs.FS, path string) (names []string) {
	dir := filepath.Dir(path)
	var entries []fs.DirEntry
	if fsys != nil {
		entries, _ = fs.ReadDir(fsys, filepath.ToSlash(dir))
	} else {
		entries, _ = os.ReadDir(dir)
	}
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// parseFile returns the file's sections, or nil with its mistakes noted.
func parseFile(o *opening, name string, format Format, data []byte) *source.Node {
	r := &source.Reading{From: &source.Origin{File: name, Rank: o.rank}}
	parse, ok := map[Format]func([]byte) *source.Node{YAML: r.YAML, TOML: r.TOML, JSON: r.JSON}[format]
	if !ok {
		o.fail(&Error{Kind: KindSource, Pos: Position{File: name}, Problem: "unknown format: " + format.String()})
		return nil
	}
	root := r.Sections(format.String(), data, parse)
	o.take(r)
	return root
}

// Profiles reads, for each File, OptionalFile and OptionalYAML, the files of the profiles next to it:
// chassis.prod.yaml next to chassis.yaml for Profiles("prod"), over the plain file, a later profile over an
// earlier one. Empty names are left out. A profile that no file has is an error.
func Profiles(names ...string) Source {
	return profileSource(Position{Name: "profile"}, func(*config) []string { return names })
}

// ProfilesFromEnv is Profiles with the names, divided by commas, that the variable holds:
// ProfilesFromEnv("CHASSIS_PROFILE"). Unset or empty means none. [Env] does not take the variable for a setting,
// and one that only a .env file has is an error.
func ProfilesFromEnv(variable string) Source {
	s := profileSource(Position{Name: variable}, func(c *config) []string {
		names := strings.Split(c.lookupEnv(variable), ",")
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return names
	})
	s.reserve = []string{variable}
	return s
}

func profileSource(pos Position, names func(*config) []string) Source {
	return Source{rank: source.Profile, names: names,
		read: func(o *opening) []*source.Node { return readProfiles(o, pos, names(o.config)) }}
}

// profiles are the names that a source of profiles gives.
func (s Source) profiles(c *config) []string {
	if s.names == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.names(c)), func(name string) bool { return name == "" })
}

func readProfiles(o *opening, pos Position, names []string) []*source.Node {
	var out []*source.Node
	for _, name := range names {
		if name == "" {
			continue
		}
		var read []Source // one file may be the profile of several
		found, near := false, []string(nil)
		for _, s := range o.config.sources {
			if s.file == "" {
				continue
			}
			path, ok := profilePath(s, name)
			near = append(near, profileNames(s)...)
			if !ok {
				continue
			}
			found = true
			if other := otherYAML(path); s.fsys == nil && other != "" && exists(nil, other) {
				o.fail(both(path, other))
				continue
			}
			if slices.ContainsFunc(read, func(r Source) bool {
				return r.path == path &&
					reflect.DeepEqual(r.fsys, s.fsys)
			}) {
				continue
			}
			read = append(read, Source{path: path, fsys: s.fsys})
			out = append(out, one(readFile(o, s.fsys, path, false))...)
		}
		if !found {
			o.fail(&Error{Kind: KindSource, Pos: pos,
				Problem: fmt.Sprintf("no file has the profile %q", name), Suggestion: spelling.Nearest(name, near)})
		}
	}
	return out
}

var extensions = []string{".yaml", ".yml", ".toml", ".json"}

// profilePath finds the profile's file: with the extension of the plain file, or with another that a file can
// have.
func profilePath(s Source, profile string) (string, bool) {
	ext := filepath.Ext(s.file)
	stem := strings.TrimSuffix(s.file, ext)
	for _, e := range append([]string{ext}, extensions...) {
		path := stem + "." + profile + e
		if profile != "" && !strings.ContainsAny(profile, `/\`) && exists(s.fsys, path) {
			return path, true
		}
	}
	return "", false
}

func profileNames(s Source) []string {
	base := filepath.Base(s.file)
	stem := strings.TrimSuffix(base, filepath.Ext(base)) + "."
	var names []string
	for _, f := range siblings(s.fsys, s.file) {
		rest, ok := strings.CutPrefix(f, stem)
		if ext := filepath.Ext(rest); ok && slices.Contains(extensions, ext) {
			names = append(names, strings.TrimSuffix(rest, ext))
		}
	}
	return names
}
