package awssource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/settings"
)

// current is the stage of a secret's version in force. A rotation writes the next version as AWSPENDING, tests it and
// then moves current to it, so current is never a password that does not work yet.
const current = "AWSCURRENT"

// readSecrets reads secrets one by one: BatchGetSecretValue needs a right that few roles have.
func (s *Store) readSecrets(ctx context.Context, items []*item) {
	for _, it := range items {
		in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(it.of.name)}
		if it.of.stage != "" {
			in.VersionStage = aws.String(it.of.stage)
		}
		out, err := s.secrets.GetSecretValue(ctx, in)
		if err != nil {
			s.lack(it, s.explain(ctx, "secretsmanager:GetSecretValue", "secret "+it.of.name, err))
			continue
		}
		s.have(it, secret(out, it.of.stage))
	}
}

func secret(out *secretsmanager.GetSecretValueOutput, stage string) settings.Found {
	found := settings.Found{Secret: true, Version: of(out.VersionId)}
	if len(found.Version) > 8 {
		found.Version = found.Version[:8] // enough to know versions by
	}
	if stage != "" && stage != current {
		found.Version += " " + stage
	}
	if out.SecretString != nil {
		found.Data = []byte(*out.SecretString)
	} else {
		found.Data = []byte(base64.StdEncoding.EncodeToString(out.SecretBinary))
	}
	return found
}

// pick returns what an address names of what was read: all of it, or a key.
func pick(found settings.Found, a address) settings.Found {
	if a.key == "" {
		return found
	}
	wrong := func(format string, args ...any) settings.Found {
		return settings.Found{Address: a.String(), Version: found.Version,
			Err: fmt.Errorf("the version %q "+format, append([]any{found.Version}, args...)...)}
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(found.Data, &object) != nil || object == nil {
		return wrong("is no JSON object, so it has no key %q", a.key)
	}
	raw, ok := object[a.key]
	if !ok {
		keys := make([]string, 0, len(object))
		for key := range object {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		return wrong("has no key %q; it has %s", a.key, strings.Join(keys[:min(len(keys), 20)], ", "))
	}
	out := found
	out.Address = a.String()
	var text string
	switch err := json.Unmarshal(raw, &text); {
	case string(raw) == "null":
		return wrong("has nothing (null) under the key %q", a.key)
	case err == nil:
		out.Data = []byte(text)
	default: // a number, a boolean, or JSON for a list or a section
		out.Data = raw
	}
	return out
}

// belongsToOne reports whether one name of a request is why all of it failed.
func belongsToOne(err error) bool {
	var api smithy.APIError
	var keys *credentialsError // its code is that of another request
	if !errors.As(err, &api) || errors.As(err, &keys) {
		return false
	}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "ValidationException", "InvalidKeyId", "ParameterVersionNotFound":
		return true
	}
	return false
}
