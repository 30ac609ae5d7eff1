package chassis

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/sambatech/chassis/settings"
)

// CheckSettingsFlag is the first argument by which a service checks its settings.
const CheckSettingsFlag = "--check-settings"

// CheckSettings is for the first line of a service's main. Where the program was
// started with --check-settings as its first argument, it prints every mistake
// in the service's settings, the chassis' and its own, to stdout and ends the
// process: with 3 if there is one, else with 0. Otherwise it does nothing.
//
//	chassis.CheckSettings(defaults())
//	cfg, use, err := chassis.Load(defaults())
//
// The arguments are those of [Load]. Files after the flag are read instead of
// the sources, with the CHASSIS_ variables of the environment over them:
//
//	mailer --check-settings deploy/prod.yaml
//
// So CI sees what the service would refuse; the command chassis settings check
// knows the sections of the chassis alone.
func CheckSettings[T any](defaults T, sources ...settings.Option) {
	if len(os.Args) > 1 && os.Args[1] == CheckSettingsFlag {
		os.Exit(checkSettings(os.Stdout, os.Args[2:], defaults, sources))
	}
}

// checkSettings returns the exit code: that of the command chassis.
func checkSettings[T any](out io.Writer, files []string, defaults T, sources []settings.Option) int {
	if len(files) > 0 {
		sources = nil
		for _, f := range files {
			sources = append(sources, settings.File(f))
		}
		sources = append(sources, settings.ProfilesFromEnv("CHASSIS_PROFILE"), settings.Env("CHASSIS"))
	}
	cfg, _, err := Load(defaults, slices.Clone(sources)...)
	if err == nil {
		ours, _ := partOf(reflect.ValueOf(cfg))
		err = errors.Join(ours.check("service", false), ours.Log.Validate())
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return 3
	}
	fmt.Fprintln(out, "ok")
	return 0
}
