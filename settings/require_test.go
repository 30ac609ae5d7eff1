package settings_test

import (
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestRequireEnvGivesTheVariableOrTheDefaultOrAnError(t *testing.T) {
	t.Setenv("CONTRACT_PORT", "81")
	if got, err := settings.RequireEnv("CONTRACT_PORT", new(80), "port"); err != nil || got != 81 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.RequireEnv("CONTRACT_UNSET", new(80)); err != nil || got != 80 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := settings.RequireEnv[string]("CONTRACT_UNSET", nil); err == nil || err.Error() != "CONTRACT_UNSET: the variable is required (a string) and is not set" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv("CONTRACT_PORT", new(80), "max=80"); err == nil || err.Error() != "CONTRACT_PORT: must be at most 80, found 81" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv("CONTRACT_UNSET", new(99), "max=80"); err == nil || err.Error() != "CONTRACT_UNSET: must be at most 80, its default is 99" {
		t.Errorf("got %v", err)
	}
	t.Setenv("CONTRACT_TOKEN", "s3cr3t")
	if got, err := settings.RequireEnv[settings.Secret[string]]("CONTRACT_TOKEN", nil); err != nil || got.Reveal() != "s3cr3t" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := settings.RequireEnv[settings.Secret[int]]("CONTRACT_TOKEN", nil); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv[int]("CONTRACT_PORT", nil, "mni=3"); err == nil || !strings.Contains(err.Error(), "did you mean min?") {
		t.Errorf("got %v", err)
	}
}

func TestRequireEnvWithAnEmptyVariable(t *testing.T) {
	t.Setenv("CONTRACT_EMPTY", "")
	if got, err := settings.RequireEnv("CONTRACT_EMPTY", new("default")); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := settings.RequireEnv("CONTRACT_EMPTY", new(3)); err == nil || err.Error() != "CONTRACT_EMPTY: expected a whole number, found an empty value" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv[string]("CONTRACT_EMPTY", nil, "nonempty"); err == nil {
		t.Error("empty passed nonempty")
	}
}
