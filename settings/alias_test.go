package settings_test

import (
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestAnAliasChainIsFollowed(t *testing.T) {
	type layout struct{ A, B, C string }
	got, err := load[layout](t, "a: .b\nb: .c\nc: x\n")
	if err != nil || got != (layout{"x", "x", "x"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasCycleIsAnError(t *testing.T) {
	type layout struct{ A, B, C string }
	_, err := load[layout](t, "a: .b\nb: .c\nc: .a\n")
	got := mistakes(t, err)
	if len(got) != 3 || got[0] != "a.yaml:1:4: the alias leads back to itself: .b → .c → .a → .b" {
		t.Errorf("got %q", got)
	}
}

func TestAnAliasMayNameASection(t *testing.T) {
	type inner struct {
		X int
		Y []int
	}
	type layout struct {
		A, B inner
		C    int
	}
	got, err := load[layout](t, "a: .b\nb:\n  x: 5\n  y: [1, 2]\nc: .a.y.1\n")
	if err != nil || got.A.X != 5 || len(got.A.Y) != 2 || got.C != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasOfTheSectionItStandsInIsAnError(t *testing.T) {
	type layout struct{ A map[string]any }
	_, err := load[layout](t, "a:\n  b: .a\n")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:2:6: the alias .a names a section that it stands in" {
		t.Errorf("got %q", got)
	}
}

func TestTwoDotsAreALiteralDotAndAnUnknownNameStays(t *testing.T) {
	type layout struct{ A, B, C, D, E, F string }
	got, err := load[layout](t, "a: ..x\nb: ./data\nc: .\nd: .nothing.here\ne: ..\nf: ../certs/ca.pem")
	if err != nil || got != (layout{".x", "./data", ".", ".nothing.here", "..", "../certs/ca.pem"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasReachesAcrossSourcesAndIntoAddedSections(t *testing.T) {
	type section struct{ X, Y int }
	type layout struct {
		Base, A section
		N       int
	}
	got, err := settings.Load(layout{}, yamlText("base: {x: 1, y: 2}\na: .base\n"), settings.Environ("APP", []string{"APP_A__Y=5", "APP_N=.a.x"}))
	if err != nil || got != (layout{Base: section{1, 2}, A: section{1, 5}, N: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
