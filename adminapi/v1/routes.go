package v1

import (
	"net/http"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/route"
)

// Mount adds the API to t, below /api.
func (a *API) Mount(t *route.Table) {
	const (
		permitted = access.Permitted
		signedIn  = access.SignedIn
		open      = access.Open

		ok        = http.StatusOK
		created   = http.StatusCreated
		noContent = http.StatusNoContent
	)

	users := t.Under("/api", "Users")
	route.Add(users, "POST /users", permitted, created, a.createUser, "createUser", "Create a user")
	route.Add(users, "GET /users", permitted, ok, a.listUsers, "getUsers", "List users; the same as /listUsers")
	route.Add(users, "GET /listUsers", permitted, ok, a.listUsers, "listUsers", "List users, by name, a page at a time")
	route.Add(users, "GET /users/usernames", permitted, ok, a.usernames, "listUsernames", "List the names of all users")
	route.Add(users, "GET /users/ids", permitted, ok, a.userIDs, "listUserIds", "List the ids of all users")
	route.Add(users, "PUT /users/change-password", permitted, noContent, a.changePassword, "changePassword", "Change one's own password")
	route.Add(users, "GET /users/{id}", permitted, ok, a.getUser, "getUser", "Get a user")
	route.Add(users, "PUT /users/{id}", permitted, ok, a.updateUser, "updateUser", "Change a user")
	route.Add(users, "DELETE /users/{id}", permitted, ok, a.deleteUser, "deleteUser", "Delete a user and end its sessions")
	route.Add(users, "GET /users/{id}/tokens", permitted, ok, a.listTokens, "listTokens", "List a user's tokens")
	route.Add(users, "DELETE /users/{id}/tokens", permitted, ok, a.deleteTokens, "deleteTokens", "Delete a token of a user, or all of them")
	route.Add(users, "POST /users/{id}/certificates", permitted, created, a.addCertificate, "addCertificate", "Register a certificate for a user")
	route.Add(users, "DELETE /users/{id}/certificates", permitted, ok, a.removeCertificate, "removeCertificate", "Remove a certificate of a user")
	route.Add(users, "POST /users/{id}/csr", permitted, created, a.issueCertificate, "issueCertificate", "Issue a client certificate to a user, and let it sign in with one")
	route.Add(users, "POST /users/{id}/roles", permitted, created, a.assignRole, "assignRole", "Give a role to a user")
	route.Add(users, "DELETE /users/{id}/roles", permitted, ok, a.takeRole, "takeRole", "Take a role from a user")

	roles := t.Under("/api", "Roles")
	route.Add(roles, "POST /roles", permitted, created, a.createRole, "createRole", "Create a role")
	route.Add(roles, "GET /roles", permitted, ok, a.listRoles, "listRoles", "List roles, by name")
	route.Add(roles, "GET /roles/{id}", permitted, ok, a.getRole, "getRole", "Get a role")
	route.Add(roles, "PUT /roles/{id}", permitted, ok, a.updateRole, "updateRole", "Change a role")
	route.Add(roles, "DELETE /roles/{id}", permitted, ok, a.deleteRole, "deleteRole", "Delete a role and take it from its users")
	route.Add(roles, "GET /roles/{id}/permissions", permitted, ok, a.listRolePermissions, "listRolePermissions", "List a role's permissions")
	route.Add(roles, "POST /roles/{id}/permissions", permitted, created, a.addPermission, "addPermission", "Add a permission to a role")
	route.Add(roles, "GET /roles/{id}/permissions/{pemId}", permitted, ok, a.getPermission, "getPermission", "Get a permission of a role")
	route.Add(roles, "PUT /roles/{id}/permissions/{pemId}", permitted, ok, a.updatePermission, "updatePermission", "Change a permission of a role")
	route.Add(roles, "DELETE /roles/{id}/permissions/{pemId}", permitted, ok, a.deletePermission, "deletePermission", "Remove a permission from a role")

	session := t.Under("/api", "Session")
	route.Add(session, "POST /login", open, ok, a.login, "login", "Sign in and get a token")
	route.Add(session, "GET /session", signedIn, ok, a.session, "session", "Get the session of the caller")
	route.Add(session, "GET /permissions", signedIn, ok, a.ownPermissions, "ownPermissions", "List what the caller may do")
	route.Add(session, "POST /logout", open, ok, a.logout, "logout", "End a token")

	registry := t.Under("/api", "Client registry")
	route.Add(registry, "POST /client-registry/register", open, created, a.register, "register", "Ask to become a user, and how far that is", route.Answers(registerAnswers()), route.Largest(64<<10))
	route.Add(registry, "GET /client-registry", permitted, ok, a.listRegistrations, "listRegistrations", "List the registrations that wait for a decision")
	route.Add(registry, "GET /client-registry/status", permitted, ok, a.windowStatus, "registrationStatus", "Tell whether registrations are taken")
	route.Add(registry, "POST /client-registry/open", permitted, noContent, a.openWindow, "openRegistration", "Take registrations for a while")
	route.Add(registry, "POST /client-registry/lock", permitted, noContent, a.lockWindow, "lockRegistration", "Take no more registrations, and forget those that wait")
	route.Add(registry, "POST /client-registry/confirm", permitted, created, a.confirmRegistration, "confirmRegistration", "Grant a registration: make the user")
	route.Add(registry, "POST /client-registry/deny", permitted, noContent, a.denyRegistration, "denyRegistration", "Refuse a registration")
	route.Add(registry, "POST /client-registry/renew", signedIn, created, a.renewCertificate, "renewCertificate", "Renew the client certificate that the caller signs in with, or get a first one with the password (Basic)")

	certificates := t.Under("/api", "Certificates")
	route.Add(certificates, "GET /certificates", permitted, ok, a.listCertificates, "listCertificates", "List the CA certificates that clients are trusted by")
	route.Add(certificates, "POST /certificates", permitted, created, a.trustCertificates, "trustCertificates", "Trust a CA, or several; needs all rights", route.Texts("application/x-pem-file", "text/plain"))
	route.Add(certificates, "GET /certificates/content", permitted, ok, a.certificateContent, "certificateContent", "Get a CA certificate")
	route.Add(certificates, "DELETE /certificates", permitted, ok, a.distrustCertificate, "distrustCertificate", "End the trust in a CA; needs all rights")
	route.Add(certificates, "GET /certificates/issued", permitted, ok, a.listIssued, "listIssued", "List the client certificates that were issued here, a page at a time")
	route.Add(certificates, "POST /certificates/issued/{serial}/revoke", permitted, ok, a.revokeIssued, "revokeIssued", "Revoke a client certificate that was issued here")

	retained := t.Under("/api", "Retained messages")
	route.Add(retained, "GET /retained", permitted, ok, a.listRetained, "listRetained", "List retained messages, by topic, a page at a time")
	route.Add(retained, "DELETE /retained", permitted, ok, a.clearRetained, "clearRetained", "Clear the retained message of a topic, or those that a filter matches",
		route.Answers(map[int]string{noContent: "The message of the topic is cleared."}))

	clients := t.Under("/api", "Clients")
	route.Add(clients, "GET /clients", permitted, ok, a.listClients, "listClients", "List clients, connected or with a stored session, by client ID, a page at a time")
	route.Add(clients, "GET /clients/{clientId}", permitted, ok, a.getClient, "getClient", "Get a client and its subscriptions")
	route.Add(clients, "DELETE /clients/{clientId}", permitted, noContent, a.endClient, "endClient", "Disconnect a client, or drop its session")
	route.Add(clients, "DELETE /clients", permitted, noContent, a.endClientNamed, "endClientNamed", "Disconnect the client that a query names, or drop its session")

	changes := t.Under("/api", "Changes")
	route.Add(changes, "GET /changes/{n}", permitted, ok, a.getChange, "getChange", "Tell how far a change is enforced")
}
