package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
)

// opening is the flags by which arguments are taken out of their envelope, or put into one.
// That is done on this machine: neither a key nor a clear text goes to the service.
type opening struct{ keyFile, claimFolder string }

func (o *opening) flags(f *pflag.FlagSet) {
	f.StringVar(&o.keyFile, "key-file", "",
		"file of the keys that arguments are encrypted with (default the settings' tasks.key_file)")
	f.StringVar(&o.claimFolder, "claim-folder", "",
		"folder of arguments that are too large for the queue (default the settings' tasks.claim_folder)")
}

// envelope returns the one of these files, and a function that frees it. where says how they
// were named, for errors.
func (o opening) envelope(where string) (env *envelope.Envelope, done func(), err error) {
	var cfg envelope.Config
	done = func() {}
	if o.keyFile != "" {
		keys, err := envelope.OpenKeyFile(o.keyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", where, err)
		}
		cfg.Keys = keys
	}
	if o.claimFolder != "" {
		store, err := envelope.NewFolder(o.claimFolder)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", where, err)
		}
		cfg.Store, done = store, func() { _ = store.Close() } // what was put is synced
	}
	env, err = envelope.New(cfg)
	return env, done, err
}

// opener takes bodies out of their envelopes.
type opener struct {
	env   *envelope.Envelope
	why   error // why env is nil
	close func()
}

// opener returns one by the flags. Without them it takes what the settings say, which may name
// files of another machine: then it opens nothing, which is no mistake.
func (o opening) opener(files []string) (*opener, error) {
	none := func(why error) *opener { return &opener{why: why, close: func() {}} }
	if o != (opening{}) {
		env, done, err := o.envelope("--key-file, --claim-folder")
		return &opener{env: env, close: done}, err
	}
	set, err := chassis.LoadSettings(sources(files)...)
	if err != nil {
		return none(err), nil
	}
	o = opening{set.Tasks.KeyFile, set.Tasks.ClaimFolder}
	if o == (opening{}) {
		return none(errors.New("give --key-file or --claim-folder to read them")), nil
	}
	env, done, err := o.envelope("the settings' tasks.key_file and tasks.claim_folder")
	if err != nil {
		return none(err), nil
	}
	return &opener{env: env, close: done}, nil
}

// open returns the arguments of a body, and what its envelope says of itself. A body that
// stays closed is returned as it is, with the reason.
func (o *opener) open(ctx context.Context, body string) (args, sealed string, closed error) {
	sealed, is := envelope.Describe([]byte(body))
	switch {
	case !is:
		return body, "", nil
	case o.env == nil:
		return body, sealed, o.why
	}
	data, err := o.env.Open(ctx, envelope.Letter{Body: []byte(body), Any: true})
	if err != nil {
		return body, sealed, err
	}
	return string(data), sealed, nil
}

// sealing returns the options that put the arguments of a send into an envelope: where a
// flag asks for it, or the settings of the pool that it goes to do.
func (o opening) sealing(set *chassis.TaskSettings) (opts []task.Option, done func(), err error) {
	where := "--key-file, --claim-folder"
	if o == (opening{}) {
		where = "the settings want envelopes: tasks.key_file and tasks.claim_folder"
		if set.EncryptArguments {
			o.keyFile = set.KeyFile
		}
		if set.ClaimArguments {
			o.claimFolder = set.ClaimFolder
		}
	}
	var parts task.Sealing
	if o.keyFile != "" {
		parts |= task.Encrypt
	}
	if o.claimFolder != "" {
		parts |= task.ClaimCheck
	}
	if parts == 0 {
		return nil, func() {}, nil
	}
	env, done, err := o.envelope(where)
	return []task.Option{task.SealedBy(env), task.Sealed(parts)}, done, err
}
