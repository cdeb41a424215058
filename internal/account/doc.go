// Package account is the people who sign in, what each may do for which tenant, and the programs that act by key.
//
// Desk is where people sign up, prove their address, sign in and reset a password. Sessions keeps who is signed
// in, behind gorilla/sessions' Store. Keys, tokens and session ids exist in the database as hashes only. Role.Can
// is the one matrix of rights; the server asks it on every route. Audit records who changed what, in the
// transaction of the change. Mail is written in the transaction that causes it and sent by a job.
//
// What a business is belongs to package tenant; what a new one starts with (lane, rules, mappings) is handed in as
// a function, because this package may not know those floors.
package account
