package engine

import (
	"encoding/json"
	"regexp"
)

const (
	maxActions    = 7
	maxStatements = 20
)

var (
	accountID = regexp.MustCompile(`^\d{12}$`)
	// shareable are the actions that AddPermission may give to others.
	shareable = map[string]bool{"*": true, "SendMessage": true, "ReceiveMessage": true, "DeleteMessage": true,
		"ChangeMessageVisibility": true, "GetQueueAttributes": true, "GetQueueUrl": true,
		"ListDeadLetterSourceQueues": true, "PurgeQueue": true}
)

type policy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage `json:"Statement"`
}

type statement struct {
	Sid       string         `json:"Sid"`
	Effect    string         `json:"Effect"`
	Principal map[string]any `json:"Principal"`
	Action    any            `json:"Action"`
	Resource  string         `json:"Resource"`
}

// policyOf reads a queue's policy; one statement may stand without a list.
func (e *Engine) policyOf(q *Queue) policy {
	p := policy{Version: "2008-10-17", ID: e.ARN(q) + "/SQSDefaultPolicy"}
	raw := q.shown().raw["Policy"]
	if raw == "" {
		return p
	}
	var one struct {
		Version, Id string
		Statement   json.RawMessage
	}
	if json.Unmarshal([]byte(raw), &one) != nil {
		return p
	}
	p.ID = one.Id
	if one.Version != "" {
		p.Version = one.Version
	}
	if json.Unmarshal(one.Statement, &p.Statement) != nil && len(one.Statement) > 0 {
		p.Statement = []json.RawMessage{one.Statement}
	}
	return p
}

func sid(s json.RawMessage) string {
	var v struct{ Sid string }
	_ = json.Unmarshal(s, &v) // what is no object has no Sid
	return v.Sid
}

// single gives the only one of a list by itself, as AWS writes it.
func single(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// AddPermission adds a statement to the queue's policy. Policies are kept and
// shown; they decide nothing here.
func (e *Engine) AddPermission(now int64, q *Queue, label string, accounts, actions []string) *Error {
	switch {
	case label == "":
		return MissingParameter("Label")
	case len(label) > 80 || !ValidName(label):
		return InvalidParameter(label, "Label",
			"Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	case len(accounts) == 0:
		return MissingParameter("AWSAccountIds")
	case len(actions) == 0:
		return MissingParameter("Actions")
	case len(actions) > maxActions:
		return overLimit("%d Actions were found, maximum allowed is %d.", len(actions), maxActions)
	}
	s := statement{Sid: label, Effect: "Allow", Resource: e.ARN(q)}
	var principals, names []string
	for _, id := range accounts {
		if !accountID.MatchString(id) {
			return InvalidParameter("["+id+"]", "PrincipalId", "Unable to verify.")
		}
		principals = append(principals, "arn:aws:iam::"+id+":root")
	}
	for _, a := range actions {
		if !shareable[a] {
			return InvalidParameter("SQS:"+a, "ActionName", "Only the queue owner is allowed to invoke this action.")
		}
		names = append(names, "SQS:"+a)
	}
	s.Principal, s.Action = map[string]any{"AWS": single(principals)}, single(names)
	p := e.policyOf(q)
	for _, old := range p.Statement {
		if sid(old) == label {
			return InvalidParameter(label, "Label", "Already exists.")
		}
	}
	if n := len(p.Statement) + 1; n > maxStatements {
		return overLimit("%d statements were found in the submitted policy, max allowed is %d", n, maxStatements)
	}
	b, _ := json.Marshal(s) // strings and lists of them always marshal
	p.Statement = append(p.Statement, b)
	return e.setPolicy(now, q, p)
}

// RemovePermission takes the statement of a label out of the queue's policy.
func (e *Engine) RemovePermission(now int64, q *Queue, label string) *Error {
	if label == "" {
		return MissingParameter("Label")
	}
	p := e.policyOf(q)
	for i, s := range p.Statement {
		if sid(s) == label {
			p.Statement = append(p.Statement[:i:i], p.Statement[i+1:]...)
			return e.setPolicy(now, q, p)
		}
	}
	if len(p.Statement) == 0 {
		return InvalidParameter(label, "Label", "can't find label.")
	}
	return InvalidParameter(label, "Label", "can't find label on existing policy.")
}

func (e *Engine) setPolicy(now int64, q *Queue, p policy) *Error {
	text := ""
	if len(p.Statement) > 0 {
		b, _ := json.Marshal(p) // made of JSON that was read
		text = string(b)
	}
	return e.SetAttributes(now, q, map[string]string{"Policy": text})
}
