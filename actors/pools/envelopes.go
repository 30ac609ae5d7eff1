package pools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
)

// envelopes are what the pools of a process seal and open arguments with: that of the
// Config, or one by the settings, which is made with its first use.
type envelopes struct {
	pools *Pools
	once  sync.Once
	made  *envelope.Envelope
	store *envelope.Folder
	err   error
}

// get returns the envelope.
func (e *envelopes) get() (*envelope.Envelope, error) {
	e.once.Do(func() {
		set := &e.pools.cfg.Settings
		if e.made = e.pools.cfg.Envelope; e.made != nil {
			if set.KeyFile != "" || set.ClaimFolder != "" {
				e.err = errors.New("tasks.key_file or tasks.claim_folder is set, and chassis.WithEnvelope is " +
					"given: take one of them")
			}
			return
		}
		var cfg envelope.Config
		if set.KeyFile != "" {
			var keys *envelope.KeyRing
			if keys, e.err = envelope.OpenKeyFile(set.KeyFile); e.err != nil {
				e.err = fmt.Errorf("tasks.key_file: %w", e.err)
				return
			}
			cfg.Keys = keys
		}
		if set.ClaimFolder != "" {
			if e.store, e.err = envelope.NewFolder(set.ClaimFolder); e.err != nil {
				e.err = fmt.Errorf("tasks.claim_folder: %w", e.err)
				return
			}
			cfg.Store = e.store
		}
		e.made, e.err = envelope.New(cfg)
	})
	return e.made, e.err
}

// close frees the folder of the store.
func (e *envelopes) close() {
	e.once.Do(func() { e.err = errors.New("the pools are closed") })
	if e.store != nil {
		_ = e.store.Close() // read and synced before
	}
}

// Wants implements [task.Sealer].
func (e *envelopes) Wants(name, pool string) task.Sealing {
	if !e.pools.seals.Load() {
		return 0
	}
	spec, _ := e.pools.spec(name)
	if pool == "" {
		pool = spec.Pool
	}
	l := e.pools.lane(pool)
	if pool == "" {
		l = e.pools.main()
	}
	if l == nil {
		return spec.Sealing
	}
	return spec.Sealing | l.settings.sealing()
}

// Seal implements [task.Sealer].
func (e *envelopes) Seal(ctx context.Context, p task.Parcel) (body, mark string, err error) {
	env, err := e.get()
	if err != nil {
		return "", "", err
	}
	return env.Seal(ctx, p)
}

// open is the dispatchers' opener.
func (e *envelopes) open(ctx context.Context, info *task.Info, body []byte) ([]byte, error) {
	env, err := e.get()
	if err != nil { // the start has checked it
		return nil, &task.UnopenedError{Err: err, Final: true}
	}
	return env.Open(ctx, envelope.Letter{Task: info.Task, ExecID: info.ExecID, Body: body, Attempt: info.Attempt,
		Opens: func(other string) bool {
			spec, known := e.pools.spec(other)
			own, _ := e.pools.spec(info.Task)
			return known && spec.OnFail.Name == info.Task || slices.Contains(own.Opens, other)
		}})
}

// check returns what is missing to seal so.
func (e *envelopes) check(parts task.Sealing) error {
	if parts == 0 {
		return nil
	}
	env, err := e.get()
	switch {
	case err != nil:
		return err
	case !env.Can(parts & task.Encrypt):
		return errors.New("its arguments are to be encrypted, and there is no key: set tasks.key_file, or give " +
			"chassis.WithEnvelope with Keys")
	case !env.Can(parts & task.ClaimCheck):
		return errors.New("its arguments may go into a store, and this process has no store: set " +
			"tasks.claim_folder, or give chassis.WithEnvelope with a Store")
	}
	return nil
}

// sealing returns what the settings of a pool want of all of its tasks.
func (t *Settings) sealing() (s task.Sealing) {
	if t.EncryptArguments {
		s |= task.Encrypt
	}
	if t.CompressArguments {
		s |= task.Compress
	}
	if t.ClaimArguments {
		s |= task.ClaimCheck
	}
	return s
}

// SealedAs returns what the envelope of the arguments says of itself, without a key; it is
// empty for arguments in clear text.
func (d *DeadLetter) SealedAs() string {
	text, _ := envelope.Describe([]byte(d.Body))
	return text
}

// Reveal returns the arguments of a dead letter, out of their envelope if they are in one.
func (d *DeadLetter) Reveal(ctx context.Context) (string, error) {
	if !d.IsSealed() {
		return d.Body, nil
	}
	env, err := d.pools.envelopes.get()
	if err != nil {
		return "", err
	}
	args, err := env.Open(ctx, envelope.Letter{Body: []byte(d.Body), Any: true})
	return string(args), err
}
