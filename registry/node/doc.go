// Package node puts together what one node knows of the register: the store, the
// keys that open it, the services that change it, the sign-in, the principals in
// memory and the follower that keeps them true.
//
//	store ──▶ Editor ──▶ registry.Service, pki.Service, enrol.Service
//	  │                            ▲ anchors, unknown users
//	  └──▶ [Redis] ──▶ Principals ──▶ SignIn
//	           ▲           ▲
//	           └─ Follower ┘──▶ enforcers: the live sessions
//
// It stands in a package of its own, and not in package registry, because it knows
// packages that know that one.
package node
