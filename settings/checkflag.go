package settings

import (
	"fmt"
	"io"
	"os"
)

// CheckFlag is the first argument by which a program checks its settings.
const CheckFlag = "--check-settings"

// CheckByFlag is for the first line of a main. If the program was started with
// [CheckFlag] as its first argument, CheckByFlag prints the error of check, or ok,
// to stdout and ends the process: with 3 after an error, else with 0. Otherwise it
// does nothing. Files after the flag replace sources; the profiles of the variable
// PREFIX_PROFILE and the variables PREFIX_... go over them. References in them to the stores of sources are not read,
// for a build has no right to; whatever they lead to is taken for right.
func CheckByFlag(prefix string, check func(sources ...Option) error, sources ...Option) {
	if len(os.Args) > 1 && os.Args[1] == CheckFlag {
		os.Exit(checkByFlag(os.Stdout, os.Args[2:], prefix, check, sources))
	}
}

// checkByFlag returns the exit code.
func checkByFlag(out io.Writer, files []string, prefix string, check func(...Option) error, sources []Option) int {
	if len(files) > 0 {
		stores := Stores(sources...)
		sources = nil
		for _, s := range stores {
			sources = append(sources, From(NewUnread(s.Schemes()...)))
		}
		for _, f := range files {
			sources = append(sources, File(f))
		}
		sources = append(sources, ProfilesFromEnv(prefix+"_PROFILE"), Env(prefix))
	}
	if err := check(sources...); err != nil {
		fmt.Fprintln(out, err)
		return 3
	}
	fmt.Fprintln(out, "ok")
	return 0
}
