package admin

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
)

var update = flag.Bool("update", false, "rewrite testdata/api.golden")

// documents are all that the API answers, by where.
var documents = map[string]any{
	"me":         Client{},
	"state":      State{},
	"executions": ExecutionPage{},
	"dead":       DeadPage{},
	"breakers":   BreakerPage{},
	"transitions": struct {
		L []breaker.Transition `json:"list"`
	}{},
	"settings": struct {
		L []Setting `json:"list"`
	}{},
	"cancel snooze dead/": Found{},
	"livez":               Liveness{},
	"readyz":              Readiness{},
	"startupz":            Startup{},
	"problem":             Problem{},
	"fleet":               FleetPage{},
	"fleet/do":            FleetAnswers{},
	"stream sample":       Sample{},
	"stream events":       batch[*dispatcher.Event]{},
	"stream log":          batch[string]{},
}

// TestJSONOfTheAPI pins each name of the API and the kind of its value, and the
// names and labels of the metrics: the page, the command line and scripts read
// them. Every field is set; durations are 1.5 s.
func TestJSONOfTheAPI(t *testing.T) {
	var lines []string
	for name, v := range documents {
		full := reflect.New(reflect.TypeOf(v)).Elem()
		fill(full)
		text, err := json.Marshal(full.Interface())
		if err != nil {
			t.Fatal(name, err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(name, err)
		}
		lines = append(lines, shape(name+": ", plain)...)
	}
	lines = append(lines, metricShapes(t)...)
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "\n") + "\n"
	const file = "testdata/api.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	for line := range strings.Lines(got) {
		if !strings.Contains("\n"+string(want), "\n"+line) {
			t.Errorf("new: %s", line)
		}
	}
	for line := range strings.Lines(string(want)) {
		if !strings.Contains("\n"+got, "\n"+line) {
			t.Errorf("gone: %s", line)
		}
	}
	t.Log("if that is meant: go test ./admin -run TestJSONOfTheAPI -update")
}

// fill sets every field that JSON shows.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		v.SetInt(int64(1500 * time.Millisecond))
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes([]byte(`"text"`))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Func: // not a part of JSON
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	default:
		if v.CanInt() {
			v.SetInt(1)
		} else {
			v.SetUint(1)
		}
	}
}

// shape is one line for each value that is no object and no array.
func shape(at string, v any) (lines []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			lines = append(lines, shape(at+"."+name, value)...)
		}
	case []any:
		for _, value := range v {
			lines = append(lines, shape(at+"[]", value)...)
		}
	case float64:
		lines = append(lines, fmt.Sprintf("%s number %v", at, v))
	default:
		lines = append(lines, fmt.Sprintf("%s %T", at, v))
	}
	return lines
}

// metricShapes is a line for each of our metrics, with its type and labels, and a line for each
// value of a label that we choose.
func metricShapes(t *testing.T) (lines []string) {
	p := newPlant()
	age := 1.5
	p.queues[0].OldestAge = &age
	p.tasks[0].Delay = p.tasks[0].Run
	kind := ""
	for line := range strings.Lines(ask(serve(t, p, Settings{}), "GET", "/metrics", "").Body.String()) {
		if rest, ok := strings.CutPrefix(line, "# TYPE chassis_"); ok {
			_, kind, _ = strings.Cut(strings.TrimSpace(rest), " ")
		} else if strings.HasPrefix(line, "chassis_") {
			lines = append(lines, "metrics: "+kind+" "+line[:strings.LastIndexByte(line, ' ')])
		}
	}
	return lines
}
