package chassis

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/settings"
)

// BreakerSettings is the section circuit_breaker: the limits of all breakers,
// and what is different for single services.
type BreakerSettings struct {
	breaker.Settings
	Services map[string]ServiceLimits `key:"services" live:"true" doc:"limits of single services, by scheme://host[:port]; what is left out is as for all"`
}

// ServiceLimits is one service of circuit_breaker.services. The zero value of a
// field means that it is as in the section, unless Zeros has its key: what a
// settings file gives is in force, a zero too.
type ServiceLimits breaker.Settings

// Of returns the limits of a service, as [breaker.Breaker.Service] names it.
func (s BreakerSettings) Of(service string) breaker.Settings {
	for key, own := range s.Services { // few, and none twice: see Validate
		if name, err := breaker.ParseService(key); err == nil && name == service {
			return own.over(s.Settings)
		}
	}
	return s.Settings
}

// over lays the limits over those of all services.
func (l ServiceLimits) over(all breaker.Settings) breaker.Settings {
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

// Validate tells everything that is wrong with the section, service by service.
func (s BreakerSettings) Validate() error {
	errs := []error{s.Settings.Validate()}
	was := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Services)) {
		at := "services." + strconv.Quote(key)
		name, err := breaker.ParseService(key)
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
