package awsserver

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// secret has the versions of a secret.
type secret struct {
	versions map[string]*version // by id
}

type version struct {
	text   string
	binary []byte
	stages []string
	at     time.Time
}

// PutSecret writes a version of a secret and gives it the stages, which other versions lose. It returns its id.
func (s *Server) PutSecret(name, text string, stages ...string) string {
	return s.put(name, &version{text: text, stages: stages, at: time.Now()})
}

// PutBinary is PutSecret for a binary secret that is current at once.
func (s *Server) PutBinary(name string, data []byte) string {
	return s.put(name, &version{binary: data, stages: []string{"AWSCURRENT"}, at: time.Now()})
}

func (s *Server) put(name string, v *version) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.secrets[name]
	if sec == nil {
		sec = &secret{versions: map[string]*version{}}
		s.secrets[name] = sec
	}
	s.serial++
	id := fmt.Sprintf("%08x-0000-4000-8000-%012x", s.serial, s.serial)
	for _, other := range sec.versions {
		other.stages = slices.DeleteFunc(other.stages, func(stage string) bool {
			return slices.Contains(v.stages, stage)
		})
	}
	sec.versions[id] = v
	return id
}

// Promote makes a pending version of a secret current, as the end of a rotation does.
func (s *Server) Promote(name, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.secrets[name].versions {
		if i := slices.Index(other.stages, "AWSCURRENT"); i >= 0 {
			other.stages[i] = "AWSPREVIOUS"
		}
	}
	s.secrets[name].versions[id].stages = []string{"AWSCURRENT"}
}

// DeleteSecret deletes a secret.
func (s *Server) DeleteSecret(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
}

func (s *Server) getSecretValue(body []byte) (any, *failure) {
	var in struct{ SecretId, VersionStage, VersionId string }
	if wrong := s.read(body, &in); wrong != nil {
		return nil, wrong
	}
	arn := "arn:aws:secretsmanager:" + Region + ":" + Account + ":secret:"
	name := strings.TrimPrefix(in.SecretId, arn)
	if wrong := s.refusal("secretsmanager:GetSecretValue", name, arn+name); wrong != nil {
		return nil, wrong
	}
	if in.VersionStage == "" {
		in.VersionStage = "AWSCURRENT"
	}
	sec := s.secrets[name]
	if sec == nil {
		return nil, &failure{400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."}
	}
	for id, v := range sec.versions {
		if !slices.Contains(v.stages, in.VersionStage) {
			continue
		}
		out := map[string]any{"ARN": arn + name + "-AbCdEf", "Name": name, "VersionId": id, "VersionStages": v.stages,
			"CreatedDate": seconds(v.at)}
		if v.binary != nil {
			out["SecretBinary"] = v.binary
		} else {
			out["SecretString"] = v.text
		}
		return out, nil
	}
	return nil, &failure{400, "ResourceNotFoundException",
		"Secrets Manager can't find the specified secret value for staging label: " + in.VersionStage}
}
