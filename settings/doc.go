// Package settings loads typed settings and explains them: every error at once, each at its file, line and column
// with the likely fix, and for any value where it came from.
//
// # Use
//
// A plain struct is the layout, its values are the defaults, tags are the rules:
//
//	type Mail struct {
//		From    string                  `rule:"required" doc:"sender address"`
//		Workers int                     `rule:"min=1,max=64" doc:"mails sent at once"`
//		Timeout time.Duration           `rule:"min=1s" doc:"a bare number is seconds"`
//		Token   settings.Secret[string] `doc:"token of the relay"`
//	}
//
//	cfg, err := settings.Load(Mail{Workers: 4, Timeout: 30 * time.Second},
//		settings.OptionalFile("mail.yaml"), settings.Env("MAIL"))
//	if err != nil {
//		log.Fatal(err) // all of them: mail.yaml:3:10: workers: expected a whole number, found "four"
//	}
//
// # Surface
//
// Reading:
//
//	Load[T](defaults T, options...) (T, error)            sources straight into a struct
//	Open(options...) (*Tree, error)                       sources parsed and merged once, for several layouts
//	Decode[T](tree, defaults T, options...) (T, error)    one layout out of a tree
//	Tree.Get(path) (any, error)                           a raw value by dotted path
//	Tree.Unclaimed() error                                keys that no layout has asked for
//	RequireEnv[T](name, default *T, rules...) (T, error)  one variable
//
// Sources, all of them an [Option]; see [Source] for the order of precedence:
//
//	File, OptionalFile, FileFS, Bytes    .yaml .yml .toml .json
//	OptionalYAML                         chassis.yaml or chassis.yml
//	Profiles, ProfilesFromEnv            chassis.prod.yaml next to chassis.yaml
//	DotEnv, Env, Environ                 PREFIX_TASKS__WORKERS, and PREFIX_TOKEN_FILE
//	Flags, Set                           --tasks.workers=4
//
// Other options: AllowUnknown, Shared, MergeLists, MergeMaps, Check.
//
// Without a struct: [NewLayout] of [Item]s, its [Values] by [Get]; several named ones in a [Ledger]. A [Layout]
// is also what describes settings to people and editors, whether it was made of items or, by [LayoutOf], of a
// struct:
//
//	Layout.Check, Layout.Explain         what a set of sources gives, and from where
//	Layout.Schema                        JSON Schema (draft 2020-12) for editors
//	Layout.Example                       a commented yaml or .env file
//	Layout.Reference                     a markdown table
//
// [Diff] lists what differs between two values of a layout; package settings/watch reloads with it.
//
// # Struct tags
//
//	key:"name"             name in files; without it the snake case of the field's name; "-" leaves the field out
//	rule:"min=1,max=9"     see [Rules]
//	doc:"what it is"       for Example, Schema, Reference
//	live:"true"            may change without a restart, see [Diff]
//	secret:"true"          never shown, nor anything below it; a [Secret] is always one
//	zeros:"true"           on a string with key:"-": lists the keys that were given as zero
//	merge:"append"         how a list or map of several sources is joined, see [Merge]
//
// Embedded structs without a key are flattened.
//
// # Several layouts over one file
//
// Unknown keys are errors. Where a file is shared by layouts that do not know each other, as the chassis'
// sections and a service's own keys are, each layout is decoded from one [Tree] with [Shared]: a top-level key
// that it does not know is left to the others, unless it is a likely misspelling of a key that it does know. Once
// all have been decoded, [Tree.Unclaimed] returns an error for each key that none of them asked for.
//
// # Aliases
//
// A string value that begins with a dot, like .pool or .recipients.0, is an alias of the value at that path, a
// whole section included. Chains are followed, a cycle is an error, ..x is the literal .x. The paths ./data, ..
// and ../data are no aliases, and a string that names nothing, like .gitignore, stays itself; one that nearly
// names something is among [Tree.Warnings]. Aliases see what the sources give, not defaults.
//
// # Ownership
//
// A Tree, a Layout, Values and every loaded struct are made once and not changed afterwards; all may be read from
// any number of goroutines. No goroutine outlives a call. The package keeps no global state but a cache of struct
// plans by type, and never writes to the environment.
//
// # Debugging and tests
//
// Layout.Explain prints where each value came from and what it shadowed. In a test, [Bytes] and [Environ] replace
// files and the process' environment.
package settings
