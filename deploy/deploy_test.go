// Package deploy_test holds what is in this folder against the code: every
// metric, label, path, port, setting and right.
package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is a parsed yaml or json document.
type object map[string]any

// at walks into v by keys and list indexes; a wrong way fails the test.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if o, isObject := v.(object); isObject {
				m, ok = o, true
			}
			if !ok || m[s] == nil {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			v = m[s]
		case int:
			l, ok := v.([]any)
			if !ok || s >= len(l) {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			v = l[s]
		}
	}
	return v
}

func text(t *testing.T, v any, path ...any) string {
	t.Helper()
	return fmt.Sprint(at(t, v, path...))
}

func documents(t *testing.T, file string) map[string]object {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		o := object{}
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if kind, ok := o["kind"].(string); ok {
			all[kind] = o
		} else {
			all[""] = o
		}
	}
}

// service runs with something of everything that has a metric.
func service(t *testing.T) *chassis.System {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Admin.Listen, s.Tasks.TaskPool = "127.0.0.1:0", "mailer-tasks"
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	for _, name := range []string{"good", "bad"} {
		def := task.Define[struct{}](name, task.MaxFailures(1))
		chassis.Handle(sys, def, func(context.Context, task.Job[struct{}]) error {
			if name == "bad" {
				return errors.New("down")
			}
			return nil
		})
		if _, err := chassis.Send(t.Context(), sys, def, struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	sys.Breaker("https://mail.internal")
	sys.Go("relay", func(context.Context) error { return nil })
	sys.Check("postgres", func(context.Context) error { return nil }, health.ForTasks()) // Start waits for its result
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 2; {
		if e := <-events.C; e.Kind == dispatcher.SettledWell {
			n++
		}
	}
	return sys
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// series are the label values of each name that /metrics shows.
type series map[string]map[string][]string

var (
	sample = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? `)
	pair   = regexp.MustCompile(`([a-zA-Z_]+)(=~|!~|!=|=)"([^"]*)"`)
)

func scrape(t *testing.T, sys *chassis.System) series {
	t.Helper()
	_, body := get(t, strings.TrimSuffix(sys.AdminURL(), "/")+"/metrics")
	all := series{}
	for _, m := range sample.FindAllStringSubmatch(body, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][p[1]] = append(all[m[1]][p[1]], p[3])
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d metrics: %s", len(all), body)
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:chassis|go|process)_[a-z_]+)(\{[^}]*\})?`)
	grouping = regexp.MustCompile(`\b(?:by|on|without) \(([^)]*)\)`)
)

// foreign labels are put on by Prometheus itself.
var foreign = []string{"job", "instance", "le"}

// query holds one PromQL expression against what a service shows.
func query(t *testing.T, all series, where, expr string) {
	t.Helper()
	names, labels := 0, map[string]bool{}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		names++
		shown, ok := all[m[1]]
		if !ok {
			t.Errorf("%s: no service shows %s", where, m[1])
			continue
		}
		for label := range shown {
			labels[label] = true
		}
		for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
			if slices.Contains(foreign, p[1]) {
				continue
			}
			for value := range strings.SplitSeq(p[3], "|") {
				if !slices.Contains(shown[p[1]], value) {
					t.Errorf("%s: %s never has %s=%q, but %q", where, m[1], p[1], value, shown[p[1]])
				}
			}
		}
	}
	if names == 0 {
		t.Errorf("%s: no metric of ours in %q", where, expr)
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			if label = strings.TrimSpace(label); !labels[label] && !slices.Contains(foreign, label) {
				t.Errorf("%s: nothing in %q has the label %s", where, expr, label)
			}
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		t.Errorf("%s: parentheses of %q", where, expr)
	}
}

func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	all := scrape(t, service(t))
	rules := at(t, documents(t, "prometheus-rules.yaml")[""], "groups", 0, "rules").([]any)
	if len(rules) < 10 {
		t.Fatalf("%d rules", len(rules))
	}
	templated := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, r := range rules {
		name, expr := text(t, r, "alert"), text(t, r, "expr")
		query(t, all, name, expr)
		text(t, r, "labels", "severity")
		for _, m := range templated.FindAllStringSubmatch(text(t, r, "annotations", "summary"), -1) {
			if by := grouping.FindStringSubmatch(expr); by != nil && !strings.Contains(by[1], m[1]) {
				t.Errorf("%s: its summary names the label %s, which %q drops", name, m[1], expr)
			}
		}
	}

	data, err := os.ReadFile("grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title, Type string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			query(t, all, "panel "+p.Title, target.Expr)
			for _, m := range selector.FindAllStringSubmatch(target.Expr, -1) {
				used[m[1]] = true
			}
		}
	}
	if len(used) < 20 || len(board.Templating.List) != 2 {
		t.Errorf("the dashboard shows %d metrics", len(used))
	}
	// And the names are those that package admin declares.
	declared := admin.MetricNames()
	for name := range all {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "chassis_") && !slices.Contains(declared, name) && !slices.Contains(declared, base) {
			t.Errorf("/metrics shows %s, which admin.MetricNames leaves out", name)
		}
	}
}

// The stages of a stop, as system.go and lane.go bound them: a long poll that
// is let end, the two actors, and checks, sender, breakers, queue, log and admin.
const (
	pollGrace   = 25 * time.Second
	stopTimeout = 5 * time.Second
	stages      = 7
)

// configured are the settings that a pod reads: its file, and the token that
// is mounted.
func configured(t *testing.T, docs map[string]object) chassis.Settings {
	t.Helper()
	set, err := chassis.LoadSettings(settings.Bytes("chassis.yaml", settings.YAML, []byte(text(t, docs["ConfigMap"], "data", "chassis.yaml"))),
		settings.Environ("CHASSIS", []string{"CHASSIS_ADMIN__TOKEN=0123456789abcdef0123456789abcdef"}))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTheKubernetesManifests(t *testing.T) {
	docs := documents(t, "kubernetes.yaml")
	deployment := docs["Deployment"]
	pod := at(t, deployment, "spec", "template", "spec")
	container := at(t, pod, "containers", 0)

	if _, there := docs["Secret"]; there {
		t.Error("the manifest brings a token that is the same for all who apply it")
	}
	set := configured(t, docs)
	_, port, err := net.SplitHostPort(set.Admin.Listen)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, container, "ports", 0, "containerPort"); got != port {
		t.Errorf("the port is %s, the service listens on %s", got, port)
	}
	annotations := at(t, deployment, "spec", "template", "metadata", "annotations")
	if got := text(t, annotations, "prometheus.io/port"); got != port {
		t.Errorf("the scraper asks port %s, the service listens on %s", got, port)
	}
	if !set.Admin.OpenMetrics {
		t.Error("the scraper has no token, and /metrics wants one")
	}
	drain := set.Tasks.DrainTimeout + set.Tasks.AbandonAfter
	grace, err := time.ParseDuration(text(t, pod, "terminationGracePeriodSeconds") + "s")
	if need := drain + pollGrace + stages*stopTimeout; err != nil || grace < need {
		t.Errorf("the grace period is %v, the longest stop is %v", grace, need)
	}

	base := strings.TrimSuffix(service(t).AdminURL(), "/")
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		path := text(t, container, probe, "httpGet", "path")
		if status, body := get(t, base+path); status != http.StatusOK {
			t.Errorf("%s: %s answers %d %s", probe, path, status, body)
		}
		if got, want := text(t, container, probe, "httpGet", "port"), text(t, container, "ports", 0, "name"); got != want {
			t.Errorf("%s asks port %s, not %s", probe, got, want)
		}
	}
	if status, _ := get(t, base+text(t, annotations, "prometheus.io/path")); status != http.StatusOK {
		t.Errorf("the scraper's path answers %d", status)
	}

	env := text(t, container, "env", 0, "name")
	file := text(t, container, "env", 0, "value")
	if path, ok := settings.EnvPath("CHASSIS", strings.TrimSuffix(env, "_FILE")); !ok || strings.Join(path, ".") != "admin.token" {
		t.Errorf("%s is the variable of %v", env, path)
	}
	if mount := text(t, container, "volumeMounts", 1, "mountPath"); filepath.Dir(file) != mount {
		t.Errorf("the token is read from %s and mounted at %s", file, mount)
	}
	if dir, mount := text(t, container, "workingDir"), text(t, container, "volumeMounts", 0, "mountPath"); dir != mount {
		t.Errorf("the settings are looked for in %s and mounted at %s", dir, mount)
	}
	for _, c := range []struct {
		of   any
		want string
		at   []any
	}{
		{pod, "true", []any{"securityContext", "runAsNonRoot"}},
		{pod, "RuntimeDefault", []any{"securityContext", "seccompProfile", "type"}},
		{pod, "false", []any{"automountServiceAccountToken"}},
		{container, "true", []any{"securityContext", "readOnlyRootFilesystem"}},
		{container, "false", []any{"securityContext", "allowPrivilegeEscalation"}},
		{container, "ALL", []any{"securityContext", "capabilities", "drop", 0}},
	} {
		if got := text(t, c.of, c.at...); got != c.want {
			t.Errorf("%v is %s, want %s", c.at, got, c.want)
		}
	}
	policy := docs["NetworkPolicy"]
	if got := text(t, policy, "spec", "ingress", 0, "ports", 0, "port"); got != port {
		t.Errorf("the network policy lets port %s in, the service listens on %s", got, port)
	}
	labels := text(t, deployment, "spec", "template", "metadata", "labels")
	for _, selects := range []string{text(t, deployment, "spec", "selector", "matchLabels"), text(t, docs["PodDisruptionBudget"], "spec", "selector", "matchLabels"),
		text(t, policy, "spec", "podSelector", "matchLabels")} {
		if selects != labels {
			t.Errorf("a selector wants %s, the pods have %s", selects, labels)
		}
	}
}

func TestTheScaler(t *testing.T) {
	scaled := documents(t, "keda.yaml")["ScaledObject"]
	docs := documents(t, "kubernetes.yaml")
	if got, want := text(t, scaled, "spec", "scaleTargetRef", "name"), text(t, docs["Deployment"], "metadata", "name"); got != want {
		t.Errorf("it scales %s, not %s", got, want)
	}
	set := configured(t, docs)
	trigger := at(t, scaled, "spec", "triggers", 0)
	url := text(t, trigger, "metadata", "queueURL")
	if !strings.HasSuffix(url, "/"+set.Tasks.TaskPool) || !strings.Contains(url, set.Queue.Region) || text(t, trigger, "metadata", "awsRegion") != set.Queue.Region {
		t.Errorf("it asks %s, the service uses %s in %s", url, set.Tasks.TaskPool, set.Queue.Region)
	}
	if text(t, trigger, "type") != "aws-sqs-queue" || text(t, trigger, "authenticationRef", "name") != text(t, documents(t, "keda.yaml")["TriggerAuthentication"], "metadata", "name") {
		t.Errorf("trigger %v", trigger)
	}
}
