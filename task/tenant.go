package task

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// MaxTenant is the greatest length of a tenant's key, in bytes: SQS's limit of a message group.
const MaxTenant = 128

// Tenant says for which customer, account or user a task is done. key is what SQS takes as
// a message group: 1 to 128 letters, digits and punctuation marks of ASCII. On a standard
// pool it is the message group, so that the queue is fair between tenants. In a process,
// tasks that wait for a worker start by turns over their tenants. Copies of the message,
// dead letters and the on_fail task keep it; the handler finds it in [Info.Tenant].
//
// On a FIFO pool the messages of a tenant run one after the other, or as many at once as
// the setting limits.tenant.running of the pool says.
func Tenant(key string) Option {
	return func(s *sending) {
		if err := CheckTenant(key); err != nil {
			s.errs = append(s.errs, fmt.Errorf("Tenant: %w", err))
			return
		}
		s.tenant = key
	}
}

// TenantOf gives each send of the definition the tenant that of returns for its arguments,
// unless [Tenant] names another. An empty key is no tenant. of must be pure; it is called
// at each send, and a panic of it is an error of the send.
func TenantOf[A any](of func(args A) string) Policy {
	return func(s *Spec) {
		if of == nil {
			s.check(false, "TenantOf: the function is nil")
			return
		}
		s.tenantOf = func(args any) (key string, err error) {
			typed, ok := args.(A)
			if !ok {
				if typed, err = convert[A](args); err != nil {
					return "", err
				}
			}
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("the function of TenantOf panicked: %v", v)
				}
			}()
			return of(typed), nil
		}
	}
}

// convert makes arguments of type A out of those of another type, by JSON, as the handler
// reads them.
func convert[A any](args any) (typed A, err error) {
	text, err := json.Marshal(args)
	if err == nil {
		err = json.Unmarshal(text, &typed)
	}
	if err != nil {
		return typed, fmt.Errorf("the arguments of type %T are not those of TenantOf, %T: send them in that type, or "+
			"give task.Tenant: %w", args, typed, err)
	}
	return typed, nil
}

// tenantBy is the option of a definition with [TenantOf].
func tenantBy(of func(args any) (string, error)) Option { return func(s *sending) { s.tenantOf = of } }

// CheckTenant returns why SQS would not take key as a message group, or nil.
func CheckTenant(key string) error {
	const fix = "take the customer's id, or a hash of its name (hex)"
	switch {
	case key == "":
		return fmt.Errorf("the key of a tenant is empty: %s, or leave the tenant out", fix)
	case len(key) > MaxTenant:
		return fmt.Errorf("the key of a tenant, %q, has %d bytes: at most %d; %s", cut(key), len(key), MaxTenant, fix)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			r := []rune(key[i:])[0]
			return fmt.Errorf("the key of a tenant, %q, holds %q at byte %d: SQS takes letters, digits and "+
				"punctuation marks of ASCII; %s", cut(key), r, i, fix)
		}
	}
	return nil
}

// withTenant fills in what follows from the tenant of the message.
func (s *sending) withTenant(args any) error {
	if s.tenant == "" && s.tenantOf != nil {
		key, err := s.tenantOf(args)
		if err == nil && key != "" {
			err = CheckTenant(key)
		}
		if err != nil {
			return fmt.Errorf("TenantOf: %w", err)
		}
		s.tenant = key
	}
	if s.tenant == "" {
		return nil
	}
	s.msg.Tenant, s.out.Tenant = s.tenant, s.tenant
	if s.out.GroupID == "" {
		s.out.GroupID = s.tenant
	}
	return nil
}

// GroupOfTenant returns the message group of a tenant's execution on a FIFO pool where
// running executions of a tenant may run at once: one of so many groups, by the exec_id.
// With running 0 the tenant itself is the group.
func GroupOfTenant(tenant, execID string, running int) string {
	if running <= 0 {
		return tenant
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(execID)) // never fails
	return tenantGroup(tenant, int(h.Sum64()%uint64(running)))
}

// IsGroupOfTenant reports whether group is one of the running groups of tenant, whichever
// execution it is for.
func IsGroupOfTenant(group, tenant string, running int) bool {
	if running <= 0 {
		return group == tenant
	}
	_, number, ok := cutLast(group, groupMark)
	if !ok {
		return false
	}
	i, err := strconv.Atoi(number)
	return err == nil && i >= 0 && i < running && tenantGroup(tenant, i) == group
}

// groupMark stands between a tenant and the number of its group.
const groupMark = "#"

// tenantGroup is group i of a tenant. The groups of a greater limit include those of a
// lesser one: while processes with either run, no more than the greater number runs.
func tenantGroup(tenant string, i int) string {
	end := groupMark + strconv.Itoa(i)
	if len(tenant)+len(end) > MaxTenant {
		sum := sha256.Sum256([]byte(tenant))
		tenant = tenant[:MaxTenant-longestEnd-1-2*shortSum] + "~" + hex.EncodeToString(sum[:shortSum])
	}
	return tenant + end
}

const (
	longestEnd = 11 // of a group: the mark and a number
	shortSum   = 16 // bytes of a hash that stands for a long key
)

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
