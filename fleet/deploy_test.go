package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// The files of deploy/ for a fleet are held against the code: what a member reads of
// them, its ports, and who reaches them.

// kept is a service with a fleet, as a user writes it.
type kept struct {
	chassis.Settings
	Fleet Settings `key:"fleet"`
}

// readAs loads the settings that a member has by a file and by variables.
func readAs(t *testing.T, file string, variables ...string) kept {
	t.Helper()
	k, _, err := chassis.Load(kept{Settings: chassis.DefaultSettings()},
		settings.Bytes("chassis.yaml", settings.YAML, []byte(file)), settings.Environ("CHASSIS", variables))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Fleet.Validate(); err != nil {
		t.Fatal(err)
	}
	return k
}

type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		ClusterIP                string `yaml:"clusterIP"`
		PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
		Selector                 any
		Replicas                 int
		Ports                    []port
		Template                 struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Env []struct {
						Name, Value string
						ValueFrom   struct {
							FieldRef struct {
								FieldPath string `yaml:"fieldPath"`
							} `yaml:"fieldRef"`
						} `yaml:"valueFrom"`
					}
					Ports        []port
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name   string
					Secret struct {
						SecretName string `yaml:"secretName"`
					}
				}
			}
		}
		PodSelector     struct{ MatchLabels map[string]string } `yaml:"podSelector"`
		Ingress, Egress []struct {
			From, To []struct {
				PodSelector struct {
					MatchLabels map[string]string `yaml:"matchLabels"`
				} `yaml:"podSelector"`
			}
			Ports []port
		}
		ScaleTargetRef  struct{ Name string } `yaml:"scaleTargetRef"`
		MinReplicaCount int                   `yaml:"minReplicaCount"`
		MaxReplicaCount int                   `yaml:"maxReplicaCount"`
		Triggers        []struct {
			Type     string
			Metadata map[string]string
		}
	}
}

type port struct {
	Port, ContainerPort int
	Protocol            string
}

// UnmarshalYAML implements yaml.Unmarshaler: both kinds of ports have one number.
func (p *port) UnmarshalYAML(n *yaml.Node) error {
	var v struct {
		Port          int
		ContainerPort int `yaml:"containerPort"`
		Protocol      string
	}
	if err := n.Decode(&v); err != nil {
		return err
	}
	*p = port{v.Port + v.ContainerPort, 0, v.Protocol}
	if p.Protocol == "" {
		p.Protocol = "TCP"
	}
	return nil
}

func objects(t *testing.T, name string) map[string]object {
	t.Helper()
	b, err := os.ReadFile("../deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.Kind == "" || o.Metadata.Name == "" {
			t.Errorf("%s: an object without kind or name", name)
		}
		all[o.Kind] = o
	}
}

// aKey is one as the comment in fleet.yaml makes it.
var aKey = key('k')

const aToken = "0123456789abcdef0123456789abcdef"

func TestTheManifestsOfAFleet(t *testing.T) {
	all := objects(t, "fleet.yaml")
	service, pod := all["Service"], all["Deployment"].Spec.Template
	c := pod.Spec.Containers[0]
	var variables []string
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}
	for _, e := range c.Env {
		switch {
		case e.Name == "POD_IP":
			if e.ValueFrom.FieldRef.FieldPath != "status.podIP" {
				t.Errorf("POD_IP is %s", e.ValueFrom.FieldRef.FieldPath)
			}
		case strings.HasSuffix(e.Name, "_FILE"): // what a Secret has, in its place
			dir := e.Value[:strings.LastIndexByte(e.Value, '/')]
			i := slices.IndexFunc(pod.Spec.Volumes, func(v struct {
				Name   string
				Secret struct {
					SecretName string `yaml:"secretName"`
				}
			}) bool {
				return v.Name == mounts[dir] && v.Secret.SecretName != ""
			})
			if i < 0 {
				t.Errorf("%s is read from %s, where no Secret is mounted", e.Name, e.Value)
			}
			value := map[string]string{"CHASSIS_FLEET__KEY_FILE": aKey, "CHASSIS_ADMIN__TOKEN_FILE": aToken}[e.Name]
			variables = append(variables, strings.TrimSuffix(e.Name, "_FILE")+"="+value)
		default:
			variables = append(variables, e.Name+"="+strings.ReplaceAll(e.Value, "$(POD_IP)", "10.1.2.3"))
		}
	}
	k := readAs(t, all["ConfigMap"].Data["chassis.yaml"], variables...)
	if len(k.Fleet.Seeds) != 1 || k.Fleet.Seeds[0] != service.Metadata.Name {
		t.Errorf("the seeds are %v, the headless Service is %s", k.Fleet.Seeds, service.Metadata.Name)
	}
	if k.Fleet.Key.Reveal() != aKey || k.Admin.Token.Reveal() != aToken {
		t.Error("the Secrets are not what the member reads")
	}
	host, number, err := net.SplitHostPort(k.Fleet.Bind)
	if err != nil || host != "10.1.2.3" || number != strconv.Itoa(DefaultPort) {
		t.Errorf("a member binds %s", k.Fleet.Bind)
	}
	if service.Spec.ClusterIP != "None" || !service.Spec.PublishNotReadyAddresses {
		t.Error("the Service of the seeds is not headless, or members that are not ready are no seeds")
	}
	fleet := []port{{DefaultPort, 0, "TCP"}, {DefaultPort, 0, "UDP"}}
	has := func(what string, list []port, want ...port) {
		t.Helper()
		for _, p := range want {
			if !slices.Contains(list, p) {
				t.Errorf("%s has no %v, but %v", what, p, list)
			}
		}
	}
	has("the Service", service.Spec.Ports, fleet...)
	has("the container", c.Ports, append(fleet, port{9190, 0, "TCP"})...)
	policy := all["NetworkPolicy"].Spec
	among := false
	for _, way := range policy.Ingress {
		if len(way.From) == 1 && way.From[0].PodSelector.MatchLabels["app"] == pod.Metadata.Labels["app"] {
			has("the policy, between members", way.Ports, append(fleet, port{9190, 0, "TCP"})...)
			among = true
		}
	}
	if !among {
		t.Error("the policy lets no member in")
	}
	has("the policy, out to members", policy.Egress[0].Ports, append(fleet, port{9190, 0, "TCP"})...)
	labels := fmt.Sprint(map[string]any{"app": pod.Metadata.Labels["app"]})
	if got := fmt.Sprint(service.Spec.Selector); got != labels {
		t.Errorf("the Service selects %s, the pods are %s", got, labels)
	}
	for _, kind := range []string{"Deployment", "PodDisruptionBudget"} {
		if got := fmt.Sprint(all[kind].Spec.Selector); got != "map[matchLabels:"+labels+"]" {
			t.Errorf("%s selects %s, the pods are %s", kind, got, labels)
		}
	}
	if n := all["Deployment"].Spec.Replicas; n < 3 {
		t.Errorf("%d copies: a fleet of two agrees on nothing that one has not seen", n)
	}
	if grace := time.Duration(pod.Spec.Grace) * time.Second; grace < longestStop(k) {
		t.Errorf("the grace period is %v, the longest stop %v", grace, longestStop(k))
	}

	scaled := objects(t, "fleet-keda.yaml")["ScaledObject"].Spec
	if scaled.ScaleTargetRef.Name != all["Deployment"].Metadata.Name || scaled.MinReplicaCount < 3 ||
		scaled.MaxReplicaCount > maxStraight+1 {
		t.Errorf("it scales %s from %d to %d", scaled.ScaleTargetRef.Name, scaled.MinReplicaCount, scaled.MaxReplicaCount)
	}
	m := scaled.Triggers[0].Metadata
	if scaled.Triggers[0].Type != "aws-sqs-queue" || !strings.HasSuffix(m["queueURL"], "/"+k.Tasks.TaskPool) ||
		m["awsRegion"] != k.Queue.Region {
		t.Errorf("it looks at %v, the queue is %s in %s", m, k.Tasks.TaskPool, k.Queue.Region)
	}
}

// longestStop is that of deploy/kubernetes.yaml: the drain, a long poll, and seven stages.
func longestStop(k kept) time.Duration {
	return k.Tasks.DrainTimeout + k.Tasks.AbandonAfter + 25*time.Second + 7*5*time.Second
}

func TestTheTaskDefinitionOfAFleet(t *testing.T) {
	read := func(name string, v any) {
		t.Helper()
		b, err := os.ReadFile("../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var task struct {
		Family, NetworkMode  string
		ContainerDefinitions []struct {
			StopTimeout  int
			Environment  []struct{ Name, Value string }
			Secrets      []struct{ Name, ValueFrom string }
			PortMappings []struct {
				ContainerPort int
				Protocol      string
			}
		}
	}
	read("ecs-task.json", &task)
	c := task.ContainerDefinitions[0]
	var variables []string
	for _, e := range c.Environment {
		variables = append(variables, e.Name+"="+e.Value)
	}
	for _, s := range c.Secrets {
		value, known := map[string]string{"CHASSIS_FLEET__KEY": aKey, "CHASSIS_ADMIN__TOKEN": aToken}[s.Name]
		if !known || !strings.HasPrefix(s.ValueFrom, "arn:aws:secretsmanager:") {
			t.Errorf("secret %s of %s", s.Name, s.ValueFrom)
		}
		variables = append(variables, s.Name+"="+value)
	}
	k := readAs(t, "", variables...)
	if len(k.Fleet.Seeds) != 1 || !strings.HasSuffix(k.Fleet.Seeds[0], ".local") || k.Fleet.Key.IsZero() ||
		k.Queue.Region != "eu-central-1" || k.Tasks.TaskPool != "mailer-tasks" {
		t.Errorf("%+v", k.Fleet)
	}
	var ports []string
	for _, p := range c.PortMappings {
		ports = append(ports, fmt.Sprint(p.ContainerPort, "/", p.Protocol))
	}
	for _, want := range []string{fmt.Sprint(DefaultPort, "/tcp"), fmt.Sprint(DefaultPort, "/udp"), "9190/tcp"} {
		if !slices.Contains(ports, want) {
			t.Errorf("port %s is missing: %v", want, ports)
		}
	}
	if stop := time.Duration(c.StopTimeout) * time.Second; stop < longestStop(k) || stop > 2*time.Minute {
		t.Errorf("stopTimeout is %v, the longest stop %v, and ECS takes at most 2m", stop, longestStop(k))
	}
	if task.NetworkMode != "awsvpc" {
		t.Errorf("mode %s: members would share an address", task.NetworkMode)
	}
	var service struct {
		TaskDefinition    string
		DesiredCount      int
		ServiceRegistries []struct{ RegistryArn string }
	}
	read("ecs-service.json", &service)
	if service.TaskDefinition != task.Family || service.DesiredCount < 3 || len(service.ServiceRegistries) != 1 {
		t.Errorf("%+v", service)
	}
}
