package awssource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appconfigdata"
	"github.com/aws/aws-sdk-go-v2/service/appconfigdata/types"

	"github.com/sambatech/chassis/settings"
)

// Limits of AppConfig: the poll intervals that a session may ask for. Its tokens live for 24 h; one is replaced
// before.
const (
	minPoll  = 15 * time.Second
	maxPoll  = 24 * time.Hour
	maxToken = 23 * time.Hour
)

// session is a conversation with AppConfig: each answer has the token of the next question, and says when to ask it.
type session struct {
	token string
	since time.Time // when token was given
}

// readConfigurations polls the sessions of configurations.
func (s *Store) readConfigurations(ctx context.Context, items []*item) {
	for _, it := range items {
		wait, err := s.poll(ctx, it)
		if err != nil {
			it.session = session{} // the token may be used up
			wait = s.settings.Interval
			s.lack(it, err)
		}
		s.mu.Lock()
		// Never earlier than AppConfig wants it: it refuses that.
		it.due = time.Now().Add(wait + time.Duration(s.random()*float64(wait)/10))
		s.mu.Unlock()
	}
}

// poll asks for one configuration, and returns how long to wait before it is asked for again.
func (s *Store) poll(ctx context.Context, it *item) (wait time.Duration, err error) {
	if time.Since(it.session.since) > maxToken {
		it.session = session{}
	}
	var out *appconfigdata.GetLatestConfigurationOutput
	for {
		fresh := it.session.token == ""
		if fresh {
			if err := s.begin(ctx, it); err != nil {
				return 0, err
			}
		}
		out, err = s.appconfig.GetLatestConfiguration(ctx, &appconfigdata.GetLatestConfigurationInput{
			ConfigurationToken: aws.String(it.session.token)})
		var bad *types.BadRequestException
		if !fresh && errors.As(err, &bad) {
			it.session = session{} // expired, or used by an answer that was lost
			continue
		}
		if err != nil {
			return 0, s.explain(ctx, "appconfig:GetLatestConfiguration", "configuration "+it.of.name, err)
		}
		break
	}
	it.session = session{of(out.NextPollConfigurationToken), time.Now()}
	wait = max(time.Duration(out.NextPollIntervalInSeconds)*time.Second, time.Second)
	if len(out.Configuration) == 0 && it.good {
		s.same(it)
		return wait, nil
	}
	found, err := configuration(out)
	if err != nil {
		return 0, err
	}
	s.have(it, found)
	return wait, nil
}

// begin starts a session.
func (s *Store) begin(ctx context.Context, it *item) error {
	parts := strings.Split(it.of.name, "/")
	out, err := s.appconfig.StartConfigurationSession(ctx, &appconfigdata.StartConfigurationSessionInput{
		ApplicationIdentifier: &parts[0], EnvironmentIdentifier: &parts[1], ConfigurationProfileIdentifier: &parts[2],
		RequiredMinimumPollIntervalInSeconds: aws.Int32(int32(min(max(s.settings.Interval, minPoll), maxPoll) / time.Second)),
	})
	if err != nil {
		return s.explain(ctx, "appconfig:StartConfigurationSession", "configuration "+it.of.name, err)
	}
	it.session = session{of(out.InitialConfigurationToken), time.Now()}
	return nil
}

// configuration is an answer as sections of settings.
func configuration(out *appconfigdata.GetLatestConfigurationOutput) (settings.Found, error) {
	found := settings.Found{Data: out.Configuration, Version: of(out.VersionLabel)}
	if found.Version == "" {
		sum := sha256.Sum256(out.Configuration)
		found.Version = "sha256:" + hex.EncodeToString(sum[:4])
	}
	kind, _, err := mime.ParseMediaType(of(out.ContentType))
	switch {
	case err == nil && strings.HasSuffix(kind, "json"):
		found.Format = settings.JSON
	case err == nil && strings.HasSuffix(kind, "yaml"):
		found.Format = settings.YAML
	case err == nil && strings.HasSuffix(kind, "toml"):
		found.Format = settings.TOML
	default:
		return settings.Found{}, fmt.Errorf("its content type is %q: give it application/json, application/x-yaml or "+
			"application/toml", of(out.ContentType))
	}
	return found, nil
}
