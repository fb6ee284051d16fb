-- What the demo's database holds.
revoke create on schema public from public;
revoke temporary on database app from public;
create table orders (id int primary key, item text not null, price numeric(8, 2) not null);
insert into orders
  select i, (array['apples', 'bread', 'cheese', 'dates'])[1 + i % 4], 1.25 * i from generate_series(1, 42) i;
