insert into hartonomous.operation values ('lineage', 'read');
