package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"

	cronexpr "github.com/netresearch/go-cron"
)

// Timetable is the times of an expression in a zone.
type Timetable struct {
	expr  string
	zone  *time.Location
	every time.Duration          // of @every; else 0
	wall  *cronexpr.SpecSchedule // in wall-clock time, with UTC in place of the zone
	pace  bool                   // it ticks in every hour: see doc.go on daylight saving
}

// starBit is what the parser sets in a field that is a star.
const starBit = 1 << 63

var parser = cronexpr.MustNewParser(cronexpr.Minute | cronexpr.Hour | cronexpr.Dom | cronexpr.Month | cronexpr.Dow |
	cronexpr.Descriptor | cronexpr.DowOrDom | cronexpr.Extended).WithMaxSearchYears(maxYears)

// maxYears bounds the search for the next tick: 28 years hold each day of the week for
// each day of the year, and a century without a leap day is 8 more.
const maxYears = 40

// maxExpression is the length of an expression in bytes.
const maxExpression = 256

// Parse reads an expression; the zone is a name of the IANA data base, or empty for UTC.
func Parse(expr, zone string) (*Timetable, error) {
	fail := func(err error) (*Timetable, error) {
		if len(expr) > maxExpression {
			expr = expr[:maxExpression] + "…"
		}
		return nil, fmt.Errorf("the expression %q: %w", expr, err)
	}
	where, err := loadZone(zone)
	if err != nil {
		return nil, err
	}
	text := strings.Join(strings.Fields(expr), " ")
	switch {
	case text == "":
		return fail(errors.New(`it is empty: write five fields as in crontab, like "0 3 * * *", or "@every 15m"`))
	case len(text) > maxExpression:
		return fail(fmt.Errorf("it has %d bytes, at most %d are read", len(text), maxExpression))
	case strings.Contains(text, "TZ="):
		return fail(errors.New("it holds a zone: give that by cron.Zone, or by zone in the settings"))
	case text == "@reboot":
		return fail(errors.New("a start is no time: call chassis.Send before Run"))
	}
	t := &Timetable{expr: text, zone: where}
	parsed, err := parse(text)
	if err != nil {
		return fail(err)
	}
	switch s := parsed.(type) {
	case cronexpr.ConstantDelaySchedule:
		t.every = s.Delay
		// The parser cuts what is no whole second, in silence.
		if said, err := time.ParseDuration(strings.TrimPrefix(text, "@every ")); err == nil && said != t.every {
			return fail(fmt.Errorf("%v is not whole seconds, 1s or more", said))
		}
		return t, nil
	case *cronexpr.SpecSchedule:
		own := *s
		own.Location = time.UTC
		t.wall, t.pace = &own, s.Hour&starBit != 0
	default:
		return fail(fmt.Errorf("the parser gave a %T, which is not known here", parsed))
	}
	if t.wall.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fail(errors.New("no date matches it"))
	}
	return t, nil
}

// parse keeps a panic of the parser from its caller: what it reads may be a setting.
func parse(text string) (s cronexpr.Schedule, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the parser panicked: %v", v)
		}
	}()
	return parser.Parse(text)
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" {
		return nil, errors.New(`the zone "Local" may differ between the processes of a fleet: ` +
			`name one, like "Europe/Berlin"`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("the zone %q: %w; names are like \"Europe/Berlin\". An image without zone data "+
			"needs the package tzdata, or import _ \"time/tzdata\" in main", name, err)
	}
	return zone, nil
}

// String returns the expression.
func (t *Timetable) String() string { return t.expr }

// Zone returns the zone's name.
func (t *Timetable) Zone() string { return t.zone.String() }
