package breaker

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings"
)

// GroupSettings is the section circuit_breaker: the limits of all breakers of a
// [Group], and the limits of single services.
type GroupSettings struct {
	Settings
	Services map[string]ServiceLimits `key:"services" live:"true" doc:"limits of single services, by scheme://host[:port]; what is left out is as for all"`
}

// ServiceLimits is one service of circuit_breaker.services. The zero value of a
// field means the limit of the section, unless Zeros has its key: a zero that
// stands in a settings file is in force.
type ServiceLimits Settings

// Of returns the limits of a service as [Breaker.Service] spells it.
func (s GroupSettings) Of(service string) Settings {
	for key, own := range s.Services { // they are few, and Validate refuses one that is there twice
		if name, err := ParseService(key); err == nil && name == service {
			return own.over(s.Settings)
		}
	}
	return s.Settings
}

// over lays the limits over those of all services.
func (l ServiceLimits) over(all Settings) Settings {
	if l.WindowCalls != 0 || l.Window != 0 { // a window is of one kind
		all.Window, all.WindowCalls = 0, 0
	}
	own, into := reflect.ValueOf(l), reflect.ValueOf(&all).Elem()
	zeros := strings.Split(l.Zeros, ",")
	for i := range own.NumField() {
		if f := own.Field(i); !f.IsZero() || slices.Contains(zeros, own.Type().Field(i).Tag.Get("key")) {
			into.Field(i).Set(f)
		}
	}
	all.Zeros = ""
	return all
}

// Validate returns everything that is wrong with the section, service by service.
func (s GroupSettings) Validate() error {
	errs := []error{s.Settings.Validate()}
	was := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Services)) {
		at := "services." + strconv.Quote(key)
		name, err := ParseService(key)
		if err == nil {
			err = s.Services[key].over(s.Settings).Validate()
		}
		if err != nil {
			errs = append(errs, settings.At(at, err))
		}
		if other, twice := was[name]; twice && name != "" {
			errs = append(errs, settings.At(at, fmt.Errorf("is the same service as %s: leave one of them out", other)))
		}
		was[name] = key
	}
	return errors.Join(errs...)
}
