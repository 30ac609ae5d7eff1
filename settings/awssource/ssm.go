package awssource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/sambatech/chassis/settings"
)

// Limits of the SSM API: the most names of a GetParameters, the most parameters of a page.
const (
	maxNames = 10
	pageSize = 10
)

// maxPages bounds the pages of one path: 10 000 parameters are no settings.
const maxPages = 1000

// readParameters reads parameters by their names.
func (s *Store) readParameters(ctx context.Context, items []*item) {
	for chunk := range slices.Chunk(items, maxNames) {
		s.readChunk(ctx, chunk)
	}
}

// readChunk asks for up to ten parameters. One that is refused refuses them all, so then each is asked for by itself.
func (s *Store) readChunk(ctx context.Context, items []*item) {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.of.name
	}
	out, err := s.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: names, WithDecryption: aws.Bool(true)})
	if err != nil {
		if len(items) > 1 && ctx.Err() == nil && belongsToOne(err) {
			for _, it := range items {
				s.readChunk(ctx, []*item{it})
			}
			return
		}
		for _, it := range items {
			s.lack(it, s.explain(ctx, "ssm:GetParameters", "parameter "+it.of.name, err))
		}
		return
	}
	for _, it := range items {
		i := slices.IndexFunc(out.Parameters, func(p types.Parameter) bool {
			return of(p.Name)+of(p.Selector) == it.of.name || of(p.ARN)+of(p.Selector) == it.of.name
		})
		if i < 0 {
			s.lack(it, notThere(fmt.Sprintf("there is no parameter %s in %s: create it, or correct the name or the "+
				"region", it.of.name, s.region)))
			continue
		}
		s.take(it, &out.Parameters[i])
	}
}

// take notes a parameter, unless the answer is older than what is known: SSM is consistent only after a while.
func (s *Store) take(it *item, p *types.Parameter) {
	if changed := aws.ToTime(p.LastModifiedDate); of(p.Selector) == "" {
		if it.good && changed.Before(it.stamp) {
			s.same(it)
			return
		}
		it.stamp = changed
	}
	s.have(it, parameter(p))
}

// parameter is a parameter as a value of settings. One of an unknown type is hidden.
func parameter(p *types.Parameter) settings.Found {
	found := settings.Found{Version: "v" + strconv.FormatInt(p.Version, 10),
		Secret: p.Type != types.ParameterTypeString && p.Type != types.ParameterTypeStringList}
	if p.Type == types.ParameterTypeStringList {
		found.List = strings.Split(of(p.Value), ",")
	} else {
		found.Data = []byte(of(p.Value))
	}
	return found
}

// readPaths reads all parameters below paths, page by page.
func (s *Store) readPaths(ctx context.Context, items []*item) {
	for _, it := range items {
		under, err := s.readPath(ctx, it.of.name)
		if err != nil {
			s.lack(it, s.explain(ctx, "ssm:GetParametersByPath", "path "+it.of.name, err))
		} else if len(under) == 0 && !it.good {
			s.lack(it, notThere(fmt.Sprintf("there is no parameter below %s in %s: create one, or correct the path "+
				"or the region", it.of.name, s.region)))
		} else {
			s.have(it, settings.Found{Under: under})
		}
	}
}

func (s *Store) readPath(ctx context.Context, path string) (map[string]settings.Found, error) {
	under := map[string]settings.Found{}
	in := &ssm.GetParametersByPathInput{Path: aws.String("/" + strings.Trim(path, "/")), Recursive: aws.Bool(true),
		WithDecryption: aws.Bool(true), MaxResults: aws.Int32(pageSize)}
	for range maxPages {
		out, err := s.ssm.GetParametersByPath(ctx, in)
		switch {
		case err != nil && len(under) > 0 && errors.Is(context.Cause(ctx), errLate):
			return nil, tooSlow{len(under), s.settings.Timeout}
		case err != nil:
			return nil, err
		}
		for i := range out.Parameters {
			p := &out.Parameters[i]
			key, ok := strings.CutPrefix(of(p.Name), path)
			if !ok || key == "" {
				continue
			}
			found := parameter(p)
			found.Address = schemeSSM + ":" + of(p.Name)
			under[strings.ReplaceAll(key, "/", ".")] = found
		}
		switch next := of(out.NextToken); next {
		case "":
			return under, nil // a page may be empty and not the last
		case of(in.NextToken):
			return nil, errors.New("a page names itself as the next")
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("there are more than %d parameters", maxPages*pageSize)
}
