package awsserver

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parameter has the versions of a parameter, the first at 0.
type parameter struct {
	kind     string
	versions []string
	at       []time.Time
	labels   map[string]int // versions by label, from 1
	lag      int            // answers that are the first version yet
}

// Put writes a parameter of the kind String, StringList or SecureString. It returns the version.
func (s *Server) Put(name, kind, value string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parameters[name]
	if p == nil {
		p = &parameter{labels: map[string]int{}}
		s.parameters[name] = p
	}
	p.kind, p.versions, p.at = kind, append(p.versions, value), append(p.at, time.Now())
	return len(p.versions)
}

// Label gives a version of a parameter a label.
func (s *Server) Label(name, label string, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters[name].labels[label] = version
}

// Lag gives the first version of a parameter in the next n answers, as a server that is behind does.
func (s *Server) Lag(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters[name].lag = n
}

// Delete deletes a parameter.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parameters, name)
}

func arnOf(name string) string {
	return "arn:aws:ssm:" + Region + ":" + Account + ":parameter/" + strings.TrimPrefix(name, "/")
}

// find returns the answer for a name, with a selector of a version or label behind it or not.
func (s *Server) find(asked string, decrypt bool) map[string]any {
	name, selector := asked, ""
	if i := strings.LastIndexByte(asked, ':'); i > 0 && !strings.HasPrefix(asked, "arn:") {
		name, selector = asked[:i], asked[i:]
	}
	name = strings.TrimPrefix(name, "arn:aws:ssm:"+Region+":"+Account+":parameter")
	p := s.parameters[name]
	if p == nil {
		return nil
	}
	version := len(p.versions)
	if p.lag > 0 && selector == "" {
		p.lag--
		version = 1
	}
	if selector != "" {
		n, err := strconv.Atoi(selector[1:])
		if err != nil {
			n = p.labels[selector[1:]]
		}
		if version = n; n < 1 || n > len(p.versions) {
			return nil
		}
	}
	value := p.versions[version-1]
	if p.kind == "SecureString" && !decrypt {
		value = base64.StdEncoding.EncodeToString([]byte("encrypted " + value))
	}
	out := map[string]any{"ARN": arnOf(name), "DataType": "text", "LastModifiedDate": seconds(p.at[version-1]),
		"Name": name, "Type": p.kind, "Value": value, "Version": version}
	if selector != "" {
		out["Selector"] = selector
	}
	return out
}

func (s *Server) getParameters(body []byte) (any, *failure) {
	var in struct {
		Names          []string
		WithDecryption bool
	}
	if wrong := s.read(body, &in); wrong != nil {
		return nil, wrong
	}
	sorted := slices.Sorted(slices.Values(in.Names))
	if len(in.Names) < 1 || len(in.Names) > 10 || len(slices.Compact(sorted)) != len(in.Names) {
		s.problem("GetParameters with %d names", len(in.Names))
		return nil, &failure{400, "ValidationException", "names: 1 to 10, each once"}
	}
	found, invalid := []any{}, []string{}
	for _, name := range in.Names {
		if wrong := s.refusal("ssm:GetParameters", name, arnOf(name)); wrong != nil {
			return nil, wrong
		}
		if p := s.find(name, in.WithDecryption); p != nil {
			found = append(found, p)
		} else {
			invalid = append(invalid, name)
		}
	}
	slices.Reverse(found) // their order is not that of the question
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}

// getParametersByPath gives an empty page before the first, as AWS may.
func (s *Server) getParametersByPath(body []byte) (any, *failure) {
	var in struct {
		Path           string
		Recursive      bool
		WithDecryption bool
		MaxResults     int
		NextToken      string
	}
	if wrong := s.read(body, &in); wrong != nil {
		return nil, wrong
	}
	if wrong := s.refusal("ssm:GetParametersByPath", in.Path, arnOf(in.Path)); wrong != nil {
		return nil, wrong
	}
	if !strings.HasPrefix(in.Path, "/") || in.MaxResults < 1 || in.MaxResults > 10 || !in.Recursive {
		s.problem("GetParametersByPath of %q, %d a page", in.Path, in.MaxResults)
		return nil, &failure{400, "ValidationException", "path or page size"}
	}
	if in.NextToken == "" {
		return map[string]any{"Parameters": []any{}, "NextToken": "page-0"}, nil
	}
	from, err := strconv.Atoi(strings.TrimPrefix(in.NextToken, "page-"))
	if err != nil {
		s.problem("token %q", in.NextToken)
		return nil, &failure{400, "InvalidNextToken", "The specified token is not valid."}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.parameters)) {
		if strings.HasPrefix(name, strings.TrimSuffix(in.Path, "/")+"/") {
			names = append(names, name)
		}
	}
	page := []any{}
	for _, name := range names[min(from, len(names)):min(from+in.MaxResults, len(names))] {
		page = append(page, s.find(name, in.WithDecryption))
	}
	out := map[string]any{"Parameters": page}
	if from+in.MaxResults < len(names) {
		out["NextToken"] = "page-" + strconv.Itoa(from+in.MaxResults)
	}
	return out, nil
}
