package account

import "fmt"

// Role is what a person or a key is for one tenant.
type Role string

const (
	Owner    Role = "owner"
	Admin    Role = "admin"
	Operator Role = "operator"
	Viewer   Role = "viewer"
)

// ParseRole reads a role as it is stored.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Owner, Admin, Operator, Viewer:
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q", s)
}

// Name is the role as people read it.
func (r Role) Name() string {
	switch r {
	case Owner:
		return "Owner"
	case Admin:
		return "Admin"
	case Operator:
		return "Operator"
	case Viewer:
		return "Viewer"
	}
	return ""
}

// Explain says in a sentence what the role may do.
func (r Role) Explain() string {
	switch r {
	case Owner:
		return "Everything, closing the account included."
	case Admin:
		return "Everything but what only the owner may do."
	case Operator:
		return "Sees everything, replays, settles and cancels calls; changes no set-up."
	case Viewer:
		return "Sees calls and set-up; changes nothing."
	}
	return ""
}

// Action is one kind of thing that a member may do. Every route names the one it needs.
type Action string

const (
	See        Action = "see"        // calls, transcripts, rules, mappings, the connection's health
	Operate    Action = "operate"    // replay, settle, cancel
	Configure  Action = "configure"  // rules, mappings, sources and their secrets, the connection
	Administer Action = "administer" // business, people, API keys, the audit log
	Own        Action = "own"        // close the account, hand it over
)

// matrix is who may do what (design: operators edit no rule, mapping, source, connection or person).
var matrix = map[Action][]Role{
	See:        {Owner, Admin, Operator, Viewer},
	Operate:    {Owner, Admin, Operator},
	Configure:  {Owner, Admin},
	Administer: {Owner, Admin},
	Own:        {Owner},
}

// Can reports whether the role may do it. An unknown role or action may not.
func (r Role) Can(a Action) bool {
	for _, may := range matrix[a] {
		if may == r {
			return true
		}
	}
	return false
}
