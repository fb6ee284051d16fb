/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/mongodb.h"

/* What is between the parentheses, as text: it may have no unbalanced parenthesis in a string, and comments
 * only of this kind. */
#define SCRIPT(...) #__VA_ARGS__

/* It would take JavaScript for C. */
/* clang-format off */

/* The file has the password: it goes before anybody can type a command. */
const char ak_mongodb_connect[] = SCRIPT(
    try { require('fs').unlinkSync(__agentkube.file); } catch (ignored) {}
    globalThis.__say = (value) => print('@agentkube ' + EJSON.stringify(value, {relaxed: true}));
    globalThis.__fail = (stage, e) => {
        __say({stage: stage, name: String(e.codeName || e.name || ''), code: Number(e.code) || 0,
            error: String(e.message || e)});
        quit(1);
    };
    try {
        globalThis.__mongo = new Mongo(__agentkube.uri);
        db = __mongo.getDB(__agentkube.database);
        db.runCommand({ping: 1});
    } catch (e) { __fail('connect', e); }
    delete __agentkube.uri;
);

const char ak_mongodb_operations[] = SCRIPT(
    try {
        const a = EJSON.deserialize(__agentkube.arguments, {relaxed: true});
        const d = a.database ? __mongo.getDB(a.database) : db;
        const c = a.collection ? d.getCollection(a.collection) : null;
        const limit = {maxTimeMS: __agentkube.milliseconds};
        const named = (n) => ({name: n[0], type: n[1]});
        const table = (names, rows, cut) => ({columns: names.map(named), rows: rows, truncated: !!cut});
        const take = (cursor, make) => {
            const rows = [];
            let bytes = 0;
            let cut = false;
            while (cursor.hasNext()) {
                const row = make(cursor.next());
                bytes += Buffer.byteLength(EJSON.stringify(row)) + 1;
                if (rows.length >= __agentkube.maxRows || bytes > __agentkube.maxBytes) { cut = true; break; }
                rows.push(row);
            }
            cursor.close();
            return [rows, cut];
        };
        const documents = (cursor) => {
            const found = take(cursor, (document) => [document]);
            return table([['document', 'document']], found[0], found[1]);
        };
        const counts = (names, values) => table(names.map((n) => [n, 'integer']), [values], false);
        let result;
        if (__agentkube.operation === 'find') {
            let cursor = c.find(a.filter || {}, a.projection || {}).maxTimeMS(__agentkube.milliseconds);
            if (a.sort) { cursor = cursor.sort(a.sort); }
            result = documents(cursor.limit(__agentkube.maxRows + 1));
        } else if (__agentkube.operation === 'aggregate') {
            result = documents(c.aggregate(a.pipeline, limit));
        } else if (__agentkube.operation === 'count') {
            result = counts(['count'], [c.countDocuments(a.filter || {}, limit)]);
        } else if (__agentkube.operation === 'list_collections') {
            const list = d.getCollectionInfos({}, {nameOnly: true, authorizedCollections: true});
            const rows = list.slice(0, __agentkube.maxRows).map((one) => [one.name, one.type || 'collection']);
            result = table([['name', 'text'], ['type', 'text']], rows, list.length > rows.length);
        } else if (__agentkube.operation === 'insert_one') {
            result = table([['insertedId', 'value']], [[c.insertOne(a.document).insertedId]], false);
        } else if (__agentkube.operation === 'update_many') {
            const done = c.updateMany(a.filter, a.update);
            result = counts(['matched', 'modified'], [done.matchedCount, done.modifiedCount]);
        } else if (__agentkube.operation === 'delete_many') {
            result = counts(['deleted'], [c.deleteMany(a.filter).deletedCount]);
        } else if (__agentkube.operation === 'probe') {
            const about = db.runCommand({buildInfo: 1});
            const shown = db.runCommand({listCollections: 1, nameOnly: true, authorizedCollections: true});
            if (!shown.ok) { throw new Error(shown.errmsg); }
            result = {server: 'MongoDB ' + (about.version || '')};
        } else {
            throw new Error('this operation is not known');
        }
        __say(result);
    } catch (e) { __fail('call', e); }
);

/* A role with the grants and a user that has it are made for each identity, or brought back to what they
 * should be. */
const char ak_mongodb_provision[] = SCRIPT(
    try {
        const changed = [];
        const home = __mongo.getDB(__agentkube.authSource);
        const flat = (value) => EJSON.stringify(value);
        const sorted = (list) => flat(list.sort((x, y) => flat(x) < flat(y) ? -1 : 1));
        const right = (one) => [one.resource.db, one.resource.collection, [...one.actions].sort()];
        const rights = (list) => sorted(list.map(right));
        const names = (list) => sorted(list.map((one) => [one.db, one.role]));
        for (const who of __agentkube.identities) {
            const role = home.getRole(who.user, {showPrivileges: true});
            const user = home.getUser(who.user);
            if (__agentkube.away) {
                if (user) { home.dropUser(who.user); changed.push('user ' + who.user + ' removed'); }
                if (role) { home.dropRole(who.user); changed.push('role ' + who.user + ' removed'); }
                continue;
            }
            const own = {role: who.user, db: __agentkube.authSource};
            if (!role) {
                home.createRole({role: who.user, privileges: who.privileges, roles: []});
                changed.push('role ' + who.user + ' made');
            } else if (rights(role.privileges || []) !== rights(who.privileges) || (role.roles || []).length) {
                home.updateRole(who.user, {privileges: who.privileges, roles: []});
                changed.push('role ' + who.user + ' brought back to its privileges');
            }
            const roles = [own].concat(who.roles);
            if (!user) {
                home.createUser({user: who.user, pwd: who.password, roles: roles});
                changed.push('user ' + who.user + ' made');
            } else {
                if (names(user.roles) !== names(roles)) {
                    changed.push('user ' + who.user + ' brought back to its roles');
                }
                home.updateUser(who.user, {pwd: who.password, roles: roles});
            }
        }
        __say({changed: changed});
    } catch (e) { __fail('call', e); }
);

/* clang-format on */
