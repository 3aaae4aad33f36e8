// Package node puts the register of one node together: the store, the keys that open
// it, the services that change it, the sign-in, the principals in memory and the
// follower that keeps them current.
//
//	store ──▶ Editor ──▶ registry.Service, pki.Service, enrol.Service
//	  │                            ▲ anchors, unknown users
//	  └──▶ [Redis] ──▶ Principals ──▶ SignIn
//	           ▲           ▲
//	           └─ Follower ┘──▶ enforcers: the live sessions
//
// It is a package of its own because it imports packages that import package registry.
package node
