package task

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type order struct {
	Customer string `json:"customer"`
}

func TestATenantIsTheMessageGroup(t *testing.T) {
	by := TenantOf(func(o order) string { return o.Customer })
	for _, c := range []struct {
		name          string
		policies      []Policy
		args          any
		opts          []Option
		tenant, group string
	}{
		{"none", nil, order{"acme"}, nil, "", ""},
		{"by the send", nil, order{"acme"}, []Option{Tenant("other")}, "other", "other"},
		{"by the arguments", []Policy{by}, order{"acme"}, nil, "acme", "acme"},
		{"the send is nearer", []Policy{by}, order{"acme"}, []Option{Tenant("other")}, "other", "other"},
		{"the arguments name none", []Policy{by}, order{}, nil, "", ""},
		{"the arguments as JSON", []Policy{by}, map[string]any{"customer": "acme"}, nil, "acme", "acme"},
		{"the arguments as text", []Policy{by}, json.RawMessage(`{"customer":"acme"}`), nil, "acme", "acme"},
		{"a group of its own", nil, order{}, []Option{Tenant("acme"), Group("g")}, "acme", "g"},
		{"every kind of character", nil, order{}, []Option{Tenant("a~Z!09{}#")}, "a~Z!09{}#", "a~Z!09{}#"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := NewSpec("t", c.policies...)
			if err := spec.Err(); err != nil {
				t.Fatal(err)
			}
			out, err := Encode("t", c.args, time.Now(), spec.Options(c.opts)...)
			if err != nil {
				t.Fatal(err)
			}
			if out.Tenant != c.tenant || out.GroupID != c.group {
				t.Errorf("tenant %q, group %q, want %q, %q", out.Tenant, out.GroupID, c.tenant, c.group)
			}
			m, err := Decode(out.Body, out.Attributes)
			if err != nil || m.Tenant != c.tenant || m.Renewed().Tenant != c.tenant {
				t.Errorf("the message is of %q, and of %q when it is renewed; %v", m.Tenant, m.Renewed().Tenant, err)
			}
			if n := len(out.Attributes); c.tenant == "" && n != 5 {
				t.Errorf("%d attributes without a tenant", n)
			}
		})
	}
}

func TestADefinitionsOwnEncodeHasTheTenant(t *testing.T) {
	def := Define[order]("t", TenantOf(func(o order) string { return o.Customer }))
	out, err := def.Encode(time.Now(), order{"acme"})
	if err != nil || out.Tenant != "acme" || out.GroupID != "acme" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestATenantThatDoesNotFitIsRefused(t *testing.T) {
	by := func(f func(order) string) []Option {
		spec := NewSpec("t", TenantOf(f))
		return spec.Options(nil)
	}
	for _, c := range []struct {
		opts []Option
		args any
		want string
	}{
		{[]Option{Tenant("")}, order{}, "is empty"},
		{[]Option{Tenant(strings.Repeat("k", 129))}, order{}, "129 bytes: at most 128; take the customer's id"},
		{[]Option{Tenant("two words")}, order{}, "' ' at byte 3"},
		{[]Option{Tenant("blåhaj")}, order{}, "'å' at byte 2"},
		{[]Option{Tenant("a\x00")}, order{}, "at byte 1"},
		{[]Option{Tenant("\xff")}, order{}, "at byte 0"},
		{by(func(o order) string { return o.Customer }), order{"two words"}, "TenantOf: the key"},
		{by(func(order) string { panic("no") }), order{}, "panicked: no"},
		{by(func(o order) string { return o.Customer }), 7, "give task.Tenant"},
		{by(func(o order) string { return o.Customer }), func() {}, "send task"},
	} {
		if _, err := Encode("t", c.args, time.Now(), c.opts...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if spec := NewSpec("t", TenantOf[order](nil)); spec.Err() == nil {
		t.Error("a nil function is taken")
	}
}

// TestAForgedTenantIsIgnored: any program may write attributes.
func TestAForgedTenantIsIgnored(t *testing.T) {
	for _, value := range []string{"two words", "å", strings.Repeat("k", 200), "\n"} {
		out, err := Encode("t", 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		out.Attributes[AttrTenant] = types.MessageAttributeValue{DataType: &stringType, StringValue: &value}
		m, err := Decode(out.Body, out.Attributes)
		if m.Tenant != "" || err == nil || Fatal(err) != nil {
			t.Errorf("%q: tenant %q, %v", value, m.Tenant, err)
		}
	}
}

func TestGroupsOfATenant(t *testing.T) {
	long := strings.Repeat("k", MaxTenant)
	for _, tenant := range []string{"a", "a#1", "#", long, long[:120], long[:125] + "#"} {
		for _, n := range []int{0, 1, 3, 1000} {
			groups := map[string]int{}
			for i := range 10 * max(n, 1) {
				g := GroupOfTenant(tenant, fmt.Sprint("exec-", i), n)
				groups[g]++
				if !IsGroupOfTenant(g, tenant, n) || !IsGroupOfTenant(g, tenant, n+1) && n > 0 {
					t.Fatalf("%q is not known as a group of %q with %d", g, tenant, n)
				}
				if CheckTenant(g) != nil {
					t.Fatalf("SQS does not take the group %q", g)
				}
			}
			if len(groups) > max(n, 1) {
				t.Errorf("%q has %d groups with %d", tenant, len(groups), n)
			}
			if n == 3 && len(groups) != 3 {
				t.Errorf("%q uses %d groups of 3", tenant, len(groups))
			}
		}
	}
	for _, c := range []struct{ group, tenant string }{
		{"a", "a"}, {"a#3", "a"}, {"a#-1", "a"}, {"a#01", "a"}, {"a#+1", "a"}, {"a#", "a"}, {"b#1", "a"}, {"", "a"}, {"a#1#1", "a"},
	} {
		if IsGroupOfTenant(c.group, c.tenant, 3) {
			t.Errorf("%q is taken for one of 3 groups of %q", c.group, c.tenant)
		}
	}
	// Two long keys with one beginning have groups of their own.
	if a, b := GroupOfTenant(long[:127]+"a", "x", 3), GroupOfTenant(long[:127]+"b", "x", 3); a == b {
		t.Error("two tenants share a group")
	}
}
