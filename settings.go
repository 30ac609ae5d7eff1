package chassis

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
	"github.com/sambatech/chassis/task/cron"
)

// Settings is everything about a service that is not code. The zero value of
// every field means its default. A service's own settings stand in the same file:
//
//	type Config struct {
//		chassis.Settings
//		Sender string `rule:"required"`
//	}
//	cfg, use := chassis.MustLoad(Config{Settings: chassis.DefaultSettings()})
//	sys := chassis.MustNew("mailer", use)
type Settings struct {
	Log            logger.Settings `key:"log"`
	CircuitBreaker BreakerSettings `key:"circuit_breaker"`
	Tasks          TaskSettings    `key:"tasks"`
	Queue          QueueSettings   `key:"queue"`
	Admin          admin.Settings  `key:"admin"`
	Lifecycle      parts.Settings  `key:"lifecycle"`
	Schedules      cron.Table      `key:"schedules" live:"true" doc:"tasks that are sent at times of the clock, by name"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings {
	return Settings{
		Log:            logger.DefaultSettings(),
		CircuitBreaker: BreakerSettings{Settings: breaker.DefaultSettings()},
		Tasks:          pools.DefaultSettings(),
		Queue:          queue.DefaultSettings(),
		Admin:          admin.DefaultSettings(),
		Lifecycle:      parts.DefaultSettings(),
	}
}

// Sources is where [New] looks for settings, each over the one before: chassis.yaml (or chassis.yml, but
// not both), chassis.toml and chassis.json in the working directory if they are there, the profiles there
// that CHASSIS_PROFILE names (chassis.prod.yaml for "prod"), the CHASSIS_ variables of a .env file if there
// is one, and the variables CHASSIS_SECTION__KEY.
func Sources() []settings.Option {
	return []settings.Option{
		settings.OptionalYAML("chassis"),
		settings.OptionalFile("chassis.toml"),
		settings.OptionalFile("chassis.json"),
		settings.ProfilesFromEnv("CHASSIS_PROFILE"),
		settings.DotEnv("CHASSIS", ".env"),
		settings.Env("CHASSIS"),
	}
}

// LoadSettings reads the chassis' own sections from sources and leaves other top-level keys to the service, if they
// are not likely misspellings of one of ours. The error lists all mistakes, with their places.
func LoadSettings(sources ...settings.Option) (Settings, error) {
	s, err := settings.Load(DefaultSettings(), append(sources, settings.Shared())...)
	return s, namesTaken(err)
}

// namesTaken adds to err what to do about a section of the service under our name.
func namesTaken(err error) error {
	return settings.NamesTaken(err, "the chassis'", "log", "queue", "admin", "lifecycle", "schedules")
}

// Load reads a service's own settings, a struct that [Settings] is embedded in, from sources, or from [Sources] if
// there are none. The option makes a system that uses them and, from its start on, follows the files: what is tagged
// live changes while it runs, of the service's own too, see [Live]. Its live page shows where each setting came from;
// secrets are hidden. The error lists all mistakes, with their places.
func Load[T any](defaults T, sources ...settings.Option) (T, Option, error) {
	if len(sources) == 0 {
		sources = Sources()
	}
	cfg, ours, part, err := watch.LoadPart[T, Settings](defaults, sources...)
	if err != nil {
		return cfg, nil, namesTaken(err)
	}
	return cfg, func(o *options) { o.settings, o.source = &ours, part }, nil
}

// MustLoad is [CheckSettings] and [Load] for a main function: it writes the mistakes to stderr and ends the
// process with status 1.
func MustLoad[T any](defaults T, sources ...settings.Option) (T, Option) {
	CheckSettings(defaults, sources...)
	cfg, use, err := Load(defaults, sources...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return cfg, use
}

// CheckSettings is for the first line of a main that does not call [MustLoad]. If the program was started with
// --check-settings as its first argument, it prints every mistake in the service's settings, the chassis' and its
// own, to stdout and ends the process: with 3 if there is one, else with 0. Otherwise it does nothing. The arguments
// are those of [Load]. Files after the flag are read instead of the sources, with the CHASSIS_ variables of the
// environment over them, so that CI sees what the service would refuse:
//
//	mailer --check-settings deploy/prod.yaml
func CheckSettings[T any](defaults T, sources ...settings.Option) {
	settings.CheckByFlag("CHASSIS", func(sources ...settings.Option) error {
		cfg, _, err := Load(defaults, sources...)
		if err != nil {
			return err
		}
		ours, _ := watch.PartOf[Settings](cfg)
		return errors.Join(ours.check("service", false), ours.Log.Validate())
	}, sources...)
}

// check fills in what depends on the service and returns what does not fit
// together. given means that the caller has made the queue's client or server.
func (s *Settings) check(service string, given bool) error {
	s.Log = s.Log.WithLevel("actor", "warning") // Proto.Actor has a record of every supervised failure
	if given || s.Queue.Embedded() {
		s.Tasks.TaskPool = cmp.Or(s.Tasks.TaskPool, pools.NameFor(service))
	}
	var memory error
	if !given {
		s.Tasks = s.Tasks.For(s.Queue.Embedded())
		memory = settings.At("queue", s.Queue.CheckMemory())
	}
	return errors.Join(settings.At("queue", s.Queue.Validate()), memory,
		settings.At("circuit_breaker", s.CircuitBreaker.Validate()), s.Tasks.Check(), s.Admin.Validate(),
		settings.At("lifecycle", s.Lifecycle.Validate()), s.Schedules.Validate())
}
