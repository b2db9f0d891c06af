-- A state file of schema 5, as `.dump` of sqlite3 writes it.
BEGIN TRANSACTION;
CREATE TABLE consent_records ( -- all that was ever said; rows are only added
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    shopper_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    recorded_at INTEGER NOT NULL, -- the same
    notice TEXT NOT NULL,
    source TEXT NOT NULL
);
INSERT INTO "consent_records" VALUES(1,'bob','demographics',1,1777636800000000,1777636800000000,'2026-01','checkout');
CREATE TABLE consents ( -- of these, what counts
    shopper_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    time INTEGER NOT NULL, withdrawn_at INTEGER,
    PRIMARY KEY (shopper_id, purpose)
) WITHOUT ROWID;
INSERT INTO "consents" VALUES('bob','demographics',1,1777636800000000,NULL);
CREATE TABLE demographics (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- a new one for every declaration
    shopper_id TEXT NOT NULL UNIQUE,
    age_band TEXT NOT NULL,
    gender TEXT NOT NULL,
    region TEXT NOT NULL,
    declared_at INTEGER NOT NULL, -- microseconds since 1970
    source TEXT NOT NULL
);
INSERT INTO "demographics" VALUES(1,'bob','25-34','FEMALE','Berlin',1777636800000000,'checkout');
CREATE TABLE events (
    arrival INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    shopper_id TEXT NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    type TEXT NOT NULL,
    item_id TEXT,
    catalogue TEXT NOT NULL,
    query TEXT,
    price REAL,
    quantity REAL,
    rating REAL,
    dwell_seconds REAL,
    position INTEGER
);
INSERT INTO "events" VALUES(1,'e1','ann',1777636800000000,'purchase','lamp','products','a ''lamp''; 灯',9.5,2.0,NULL,NULL,NULL);
INSERT INTO "events" VALUES(2,'e2','ann',1777636860000000,'search',NULL,'products','desk lamp',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(3,'e3','bob',1777636920000000,'rate','rug','ads',NULL,NULL,NULL,4.5,0.0,3);
CREATE TABLE item_changes (
    catalogue TEXT NOT NULL,
    item_id TEXT NOT NULL,
    item TEXT, number INTEGER NOT NULL DEFAULT 0, writer TEXT NOT NULL DEFAULT '', -- JSON; NULL: removed
    PRIMARY KEY (catalogue, item_id)
) WITHOUT ROWID;
INSERT INTO "item_changes" VALUES('ads','rug','{"item_id": "rug", "title": "Wool rug", "catalogue": "ads", "category_path": ["Home"], "brand": "Brand", "attributes": {"colour": "red"}, "price": 99.0}',1,'0c39db411f0501ab');
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- a new one whenever the shopper is forgotten
    shopper_sha256 TEXT NOT NULL UNIQUE,
    forgotten_at INTEGER NOT NULL, -- microseconds since 1970
    arrival INTEGER NOT NULL -- the highest that any event had had by then: none is given twice
);
INSERT INTO "tombstones" VALUES(1,'85262adf74518bbb70c7cb94cd6159d91669e5a81edf1efebd543eadbda9fa2b',1777640400000000,4);
CREATE INDEX events_of_shopper ON events (shopper_id, time, arrival);
CREATE INDEX item_changes_by_number ON item_changes (number);
CREATE INDEX consent_records_of_shopper ON consent_records (shopper_id, number);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('consent_records',1);
INSERT INTO "sqlite_sequence" VALUES('demographics',1);
INSERT INTO "sqlite_sequence" VALUES('tombstones',1);
COMMIT;
PRAGMA user_version = 5;
