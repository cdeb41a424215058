package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// NewOrg is the organisation that the sandbox shall make for a tenant.
type NewOrg struct {
	Name       string
	Edition    string // empty: the sandbox's default
	DataCentre string // empty: us
}

// ConnectSandbox links a tenant to a new organisation of the Zoho sandbox at base without a consent page: for
// programs. From the grant code on it is the same road as a person's consent.
func (c *Connections) ConnectSandbox(ctx context.Context, t tenant.ID, who Actor, base string, org NewOrg) error {
	request := map[string]any{
		"client_id": c.oauth.ID, "redirect_uri": c.redirect, "scope": strings.Join(Scopes(), ","),
		"new_org": map[string]string{"name": org.Name, "edition": org.Edition, "data_centre": org.DataCentre},
	}
	var grant struct {
		Code           string `json:"code"`
		Location       string `json:"location"`
		AccountsServer string `json:"accounts-server"`
	}
	if err := sandboxCall(ctx, http.MethodPost, base+"/_sandbox/grant", request, &grant); err != nil {
		return fmt.Errorf("asking the sandbox for a grant: %w", err)
	}
	centre, ok := c.client.Centres().ByLocation(grant.Location)
	if !ok || grant.AccountsServer != centre.Accounts {
		return fmt.Errorf("the sandbox at %s answers for %q, which is not in this program's table", base, grant.AccountsServer)
	}
	o, err := c.complete(ctx, t, who, nil, centre, seal.Secret(grant.Code), Scopes())
	if err != nil {
		return err
	}
	if o.Result != Linked {
		return fmt.Errorf("connecting to the sandbox: %s", o.Reason)
	}
	return nil
}

// SandboxClient reads the OAuth client that the sandbox at base keeps for programs.
func SandboxClient(ctx context.Context, base string) (zoho.Credentials, error) {
	var clients struct {
		Data []struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"data"`
	}
	if err := sandboxCall(ctx, http.MethodGet, base+"/_sandbox/clients", nil, &clients); err != nil {
		return zoho.Credentials{}, fmt.Errorf("asking the sandbox for its client: %w", err)
	}
	if len(clients.Data) == 0 {
		return zoho.Credentials{}, fmt.Errorf("the sandbox at %s knows no client", base)
	}
	return zoho.Credentials{ID: clients.Data[0].ID, Secret: seal.Secret(clients.Data[0].Secret)}, nil
}

// SetSandbox changes the settings of one organisation of the sandbox at base, as somebody who administers it would.
func SetSandbox(ctx context.Context, base, org string, settings map[string]any) error {
	if err := sandboxCall(ctx, http.MethodPost, base+"/_sandbox/settings?org="+url.QueryEscape(org), settings, nil); err != nil {
		return fmt.Errorf("changing the sandbox's settings: %w", err)
	}
	return nil
}

func sandboxCall(ctx context.Context, method, target string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the sandbox answers %s", resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
